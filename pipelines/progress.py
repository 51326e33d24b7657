"""What is kept of a training so that it can go on after an interruption."""

import json
import math
import time
from pathlib import Path
from typing import Any

import keras

from keras_recurrent.models import Seq2Seq
from keras_recurrent.pipelines.files import whole_file
from keras_recurrent.pipelines.history import (
    averaged_epochs,
    best_epoch,
    best_value,
    is_finished,
    seconds,
    values,
)
from keras_recurrent.pipelines.moving_average import (
    averages_in_place,
    swap_averages,
)
from keras_recurrent.pipelines.optimizing import plateau_rate
from keras_recurrent.pipelines.origin import say
from keras_recurrent.pipelines.plots import training_figure
from keras_recurrent.pipelines.run import Run, RunError


class KeepProgress(keras.callbacks.Callback):
    """Keeps each epoch in the run folder, and stops when patience is lost.

    An epoch counts as soon as its line is in `metrics.jsonl`; the weights to
    go on from are there before. Every file is whole or not there: an
    interruption at any time, even while writing, damages nothing. (Keras's
    `BackupAndRestore` and `ModelCheckpoint` write in place, and
    `EarlyStopping` counts in memory.) The weights of the last epoch stay, so
    that a finished run can go on for more, and so do those of the epochs that
    are to be averaged. The model has the moving averages, if there are some;
    what a run goes on from has both.

    Args:
        run: The run, with `metrics.jsonl` of all epochs so far.
        left_out: How many pairs training does without, to be kept as well.

    Raises:
        RunError: the loss of an epoch is not a number. It is not kept.
    """

    def __init__(self, run: Run, left_out: int = 0) -> None:
        super().__init__()
        self.run = run
        self.left_out = left_out
        self.began = 0.0
        self.ends = math.inf

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.began = time.perf_counter()
        config = self.run.recipe.training
        history = self.run.history()[:epoch]
        self.ends = math.inf
        if config.minutes is not None:
            left = 60 * config.minutes - seconds(history)
            self.ends = self.began + left
        if config.schedule == "plateau":
            self.model.optimizer.learning_rate = plateau_rate(
                config, values(history, config)
            )

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if time.perf_counter() >= self.ends:
            # Validation follows, and the epoch is kept as it is.
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        run, metrics = self.run, logs or {}
        if not math.isfinite(metrics["loss"]):
            raise RunError(
                f"{run.folder}: the loss is not a number in epoch {epoch + 1}, "
                "which was not kept. Choose another folder with --run and a "
                "training.learning_rate below "
                f"{run.recipe.training.learning_rate}"
            )
        history = run.history()[:epoch]
        config = run.recipe.training
        if best_value([metrics], config) < best_value(history, config):
            # The model is that of one epoch again.
            run.average.unlink(missing_ok=True)
            with averages_in_place(self.model), whole_file(run.model) as draft:
                self.model.save(draft)
        checkpoint = _checkpoint(run, epoch + 1)
        with whole_file(checkpoint) as draft:
            self.model.save_weights(draft)
        took = round(time.perf_counter() - self.began, 1)
        history.append(
            {
                "epoch": epoch + 1,
                **metrics,
                "left_out": self.left_out,
                "seconds": took,
            }
        )
        with whole_file(run.training_picture) as draft:
            training_figure(history).savefig(draft)
        with whole_file(run.metrics) as draft:
            draft.write_text("".join(json.dumps(x) + "\n" for x in history))
        kept = {checkpoint}
        if config.average > 1:
            averaged = averaged_epochs(history, config)
            kept |= {_checkpoint(run, number) for number in averaged}
        for old in set(run.checkpoints.iterdir()) - kept:
            old.unlink()
        if is_finished(history, config):
            self.model.stop_training = True


def restore(run: Run, model: Seq2Seq) -> int:
    """Load the weights of the last epoch, of the optimizer too.

    If they are lost, those of the best epoch, which says so.

    Returns:
        The number of epochs done; 0 if there is nothing to go on from.

    Raises:
        RunError: the weights cannot be read.
    """
    history = run.history()
    epochs = len(history)
    if not epochs:
        return 0
    if _checkpoint(run, epochs).exists():
        load_epoch(run, model, epochs)
        return epochs
    best = best_epoch(history, run.recipe.training)
    what = "the average in place of" if run.average.exists() else "those of"
    say(
        f"{run.folder}: the weights of epoch {epochs} are not there; goes on "
        f"from {what} the best epoch, {best}"
    )
    _load(model, run.model)
    swap_averages(model)
    return best


def load_epoch(run: Run, model: Seq2Seq, epoch: int) -> None:
    """Load the weights of an epoch that was kept, of the optimizer too.

    Raises:
        RunError: they are not there, or cannot be read.
    """
    path = _checkpoint(run, epoch)
    if not path.exists():
        raise RunError(f"{path}: is not there, so it cannot be averaged")
    _load(model, path)


def _load(model: Seq2Seq, weights: Path) -> None:
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    try:
        model.load_weights(weights)
    except Exception as error:  # h5py and zipfile raise many kinds
        reason = " ".join(str(error).split())
        raise RunError(
            f"{weights}: damaged: {reason}. Remove it to go on from the best "
            "epoch"
        ) from error


def _checkpoint(run: Run, epochs: int) -> Path:
    return run.checkpoints / f"{epochs}.weights.h5"
