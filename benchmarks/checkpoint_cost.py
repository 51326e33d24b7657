"""What do the checkpoints of a training cost?

    make bench-survival

The model of `examples/translation.yaml`, with vocabularies of 8000, is trained
in turns without checkpoints and with one every few batches. What turns with
them take longer, for each checkpoint, is told beside the time that writing them
takes, and as a share of training with a checkpoint a minute, which is what
recipes have by themselves.
"""

import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_recurrent.pipelines.building import build_model, compile_model
from keras_recurrent.pipelines.checkpoints import Position, save_checkpoint
from keras_recurrent.pipelines.recipe import load_recipe
from keras_recurrent.pipelines.run import Run

RECIPE = Path(__file__).parents[1] / "examples" / "translation.yaml"
TOKENS, LENGTH = 8000, 14  # a sentence of Multi30k, in subwords
TURNS, BATCHES, EVERY = 7, 30, 10


class Save(keras.callbacks.Callback):
    """Writes a checkpoint every few batches, and how long that took."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run
        self.seconds: list[float] = []
        self.size = 0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if (batch + 1) % EVERY == 0:
            began = time.perf_counter()
            path = save_checkpoint(self.run, self.model, Position(0, batch))
            self.seconds.append(time.perf_counter() - began)
            self.size = path.stat().st_size


def batches(count: int, size: int) -> tf.data.Dataset:
    draw = np.random.default_rng(0)
    shape = (count, size, LENGTH)
    source, target, labels = draw.integers(4, TOKENS, (3, *shape), np.int32)
    inputs = {"source": source, "target": target}
    return tf.data.Dataset.from_tensor_slices((inputs, labels))


def took(model: keras.Model, data: tf.data.Dataset, *callbacks: Save) -> float:
    began = time.perf_counter()
    model.fit(data, shuffle=False, verbose=0, callbacks=list(callbacks))
    return time.perf_counter() - began


def main() -> None:
    recipe = load_recipe(RECIPE)
    model = build_model(recipe.model, TOKENS, TOKENS)
    compile_model(model, recipe.training, 10_000)
    model.optimizer.build(model.trainable_variables)
    data = batches(BATCHES, recipe.training.batch_size)
    took(model, data)  # compiles
    without, longer = [], []
    with tempfile.TemporaryDirectory() as folder:
        save = Save(Run(Path(folder), recipe))
        for _ in range(TURNS):
            without.append(took(model, data))
            longer.append(took(model, data, save) - without[-1])
    extra = statistics.median(longer) / (BATCHES // EVERY)
    writing = statistics.median(save.seconds)
    print(
        f"{model.count_params():,} parameters, checkpoints of "
        f"{save.size / 1e6:.0f} MB, {statistics.median(without) / BATCHES:.3f} "
        f"s a batch of {recipe.training.batch_size}"
    )
    print(f"Writing one: {writing:.3f} s, {min(save.seconds):.3f} to ", end="")
    print(f"{max(save.seconds):.3f} s")
    print(f"Longer for each, over all: {extra:.3f} s")
    for what, seconds in (("writing", writing), ("over all", extra)):
        print(f"One a minute, {what}: {100 * seconds / 60:.2f} % of training")


if __name__ == "__main__":
    main()
