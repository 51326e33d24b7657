"""Training a recipe with `fit`, so that an interrupted run goes on."""

import json
import math
import sys
import time
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.models import (
    Decoder,
    Encoder,
    MaskedAccuracy,
    MaskedCrossentropy,
    Seq2Seq,
)
from keras_recurrent.pipelines.batching import training_batches
from keras_recurrent.pipelines.plots import training_figure
from keras_recurrent.pipelines.recipe import (
    ModelConfig,
    Recipe,
    TrainingConfig,
)
from keras_recurrent.pipelines.run import Run, RunError
from keras_recurrent.pipelines.sources import load_pairs, read_texts
from keras_recurrent.pipelines.vocabulary import Vocabulary


def build_model(
    config: ModelConfig, source_size: int, target_size: int
) -> Seq2Seq:
    """Build the encoder-decoder for vocabularies of these sizes."""
    sizes: dict[str, Any] = {
        "embedding_dim": config.embedding_dim,
        "units": config.units,
        "cell": config.cell,
        "dropout": config.dropout,
        "recurrent_dropout": config.recurrent_dropout,
    }
    encoder = Encoder(
        source_size,
        num_layers=config.encoder_layers,
        bidirectional=config.bidirectional,
        **sizes,
    )
    decoder = Decoder(
        target_size,
        num_layers=config.decoder_layers,
        query=config.query,
        input_feeding=config.input_feeding,
        **sizes,
    )
    model = Seq2Seq(
        encoder,
        decoder,
        start_id=Vocabulary.start_id,
        end_id=Vocabulary.end_id,
    )
    model.build()
    return model


def compile_model(model: Seq2Seq, config: TrainingConfig) -> None:
    """Give the model its optimizer, loss and metrics."""
    model.compile(
        optimizer=keras.optimizers.Adam(
            config.learning_rate, global_clipnorm=config.clipnorm
        ),
        loss=MaskedCrossentropy(label_smoothing=config.label_smoothing),
        metrics=[MaskedAccuracy(name="accuracy")],
        jit_compile=config.jit_compile,
    )


def build_vocabularies(recipe: Recipe) -> tuple[Vocabulary, Vocabulary]:
    """Number the tokens of the training texts, of sources and of targets."""
    texts = read_texts(_training_pairs(recipe))
    return tuple(  # type: ignore[return-value]
        Vocabulary.build(
            texts[side], config.split, config.case, config.max_size
        )
        for side, config in (
            ("source", recipe.source),
            ("target", recipe.target),
        )
    )


def load_batches(
    recipe: Recipe, vocabularies: tuple[Vocabulary, Vocabulary], seed: int
) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Return the batches for training and those for validation."""
    config = recipe.training
    train = training_batches(
        _training_pairs(recipe),
        *vocabularies,
        config.batch_size,
        seed=seed,
        static_shapes=config.jit_compile,
    )
    validation = training_batches(
        load_pairs(recipe.data, "validation"),
        *vocabularies,
        config.batch_size,
        shuffle=False,
        static_shapes=config.jit_compile,
    )
    return train, validation.cache()


def train(run: Run) -> bool:
    """Train until the recipe's epochs are done or patience is lost.

    After each epoch the metrics are written to the run folder, the model too
    if its validation loss is the best so far. An interrupted run goes on
    after its last whole epoch.

    Returns:
        Whether there was anything left to do.

    Raises:
        RunError: the loss was never a number.
    """
    config = run.recipe.training
    history = run.history()
    if is_finished(history, config):
        return False
    # Otherwise a run that goes on would see the order of its first epoch.
    seed = config.seed + len(history)
    keras.utils.set_random_seed(seed)
    vocabularies = build_vocabularies(run.recipe)
    vocabularies[0].save(run.source_vocabulary)
    vocabularies[1].save(run.target_vocabulary)
    batches, validation = load_batches(run.recipe, vocabularies, seed)
    model = build_model(run.recipe.model, *map(len, vocabularies))
    compile_model(model, config)
    model.fit(
        batches,
        validation_data=validation,
        epochs=config.epochs,
        shuffle=False,  # the batches are shuffled already
        verbose=verbosity(),
        callbacks=[
            keras.callbacks.TerminateOnNaN(),
            # Before the log: an epoch in the log has been saved if it should.
            keras.callbacks.ModelCheckpoint(
                run.model,
                save_best_only=True,
                initial_value_threshold=best_loss(history),
            ),
            MetricsLog(run),
            keras.callbacks.TensorBoard(run.events, write_graph=False),
            keras.callbacks.BackupAndRestore(run.checkpoints),
        ],
    )
    if not run.model.exists():
        raise RunError(
            f"{run.folder}: the loss is not a number, so no model was saved. "
            f"Try a training.learning_rate below {config.learning_rate}"
        )
    run.training_picture.parent.mkdir(exist_ok=True)
    training_figure(run.history()).savefig(run.training_picture, dpi=150)
    return True


class MetricsLog(keras.callbacks.Callback):
    """Writes a line of JSON per epoch, and stops when patience is lost.

    Patience is counted in the file and not in memory, as
    `keras.callbacks.EarlyStopping` does, so that it survives interruptions.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run
        self.began = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        # An epoch that was interrupted between this log and its backup is
        # done again: it replaces its first line.
        history = self.run.history()[:epoch]
        seconds = round(time.perf_counter() - self.began, 1)
        history.append({"epoch": epoch + 1, **(logs or {}), "seconds": seconds})
        lines = "".join(json.dumps(line) + "\n" for line in history)
        draft = self.run.metrics.with_suffix(".draft")
        draft.write_text(lines, encoding="utf-8")
        draft.replace(self.run.metrics)
        if is_finished(history, self.run.recipe.training):
            self.model.stop_training = True


def is_finished(history: list[dict[str, Any]], config: TrainingConfig) -> bool:
    """Whether all epochs are done, or none of the last ones was the best."""
    if len(history) >= config.epochs:
        return True
    if config.patience is None:
        return False
    waited = history[-config.patience :]
    earlier = history[: -config.patience]
    return bool(earlier) and best_loss(waited) >= best_loss(earlier)


def best_loss(history: list[dict[str, Any]]) -> float:
    """The lowest validation loss; infinite if there is none."""
    losses = [epoch["val_loss"] for epoch in history]
    return min((x for x in losses if not math.isnan(x)), default=math.inf)


def verbosity() -> int:
    """A progress bar on a terminal, a line per epoch elsewhere."""
    return 1 if sys.stdout.isatty() else 2


def _training_pairs(recipe: Recipe) -> tf.data.Dataset:
    pairs = load_pairs(recipe.data, "train")
    limit = recipe.training.max_examples
    return pairs if limit is None else pairs.take(limit)
