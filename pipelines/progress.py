"""What is kept of a training so that it can go on after an interruption."""

import json
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from keras_recurrent.models import Seq2Seq
from keras_recurrent.pipelines.plots import training_figure
from keras_recurrent.pipelines.recipe import TrainingConfig
from keras_recurrent.pipelines.run import Run


class KeepProgress(keras.callbacks.Callback):
    """Keeps each epoch in the run folder, and stops when patience is lost.

    An epoch counts as soon as its line is in `metrics.jsonl`; the weights to
    go on from are there before. Every file is written whole under another
    name and then renamed: an interruption at any time, even while writing,
    damages nothing. (Keras's `BackupAndRestore` and `ModelCheckpoint` write
    in place, and `EarlyStopping` counts in memory.)

    Args:
        run: The run, with `metrics.jsonl` of all epochs so far.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run
        self.began = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        run, metrics = self.run, logs or {}
        history = run.history()[:epoch]
        if metrics["val_loss"] < best_loss(history):
            _write(run.model, self.model.save)
        run.checkpoints.mkdir(exist_ok=True)
        _write(_checkpoint(run, epoch + 1), self.model.save_weights)
        seconds = round(time.perf_counter() - self.began, 1)
        history.append({"epoch": epoch + 1, **metrics, "seconds": seconds})
        run.training_picture.parent.mkdir(exist_ok=True)
        _write(run.training_picture, training_figure(history).savefig)
        lines = "".join(json.dumps(line) + "\n" for line in history)
        _write(run.metrics, lambda path: path.write_text(lines))
        _checkpoint(run, epoch).unlink(missing_ok=True)
        if is_finished(history, run.recipe.training):
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        shutil.rmtree(self.run.checkpoints, ignore_errors=True)


def restore(run: Run, model: Seq2Seq) -> int:
    """Load the weights of the last epoch, of the optimizer too.

    Returns:
        The number of epochs done; 0 if there is nothing to go on from.
    """
    epochs = len(run.history())
    checkpoint = _checkpoint(run, epochs)
    if not checkpoint.exists():
        return 0
    model.optimizer.build(model.trainable_variables)
    model.load_weights(checkpoint)
    return epochs


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


def _checkpoint(run: Run, epochs: int) -> Path:
    return run.checkpoints / f"{epochs}.weights.h5"


def _write(path: Path, write: Callable[[Path], Any]) -> None:
    # Keras goes by the end of the name.
    draft = path.with_name(f"draft.{path.name}")
    write(draft)
    draft.replace(path)
