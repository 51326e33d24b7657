"""What is kept of a training so that it can go on after an interruption."""

import json
import math
import time
from typing import Any

import keras
import numpy as np

from keras_recurrent.models import Seq2Seq
from keras_recurrent.pipelines.checkpoints import (
    Position,
    checkpoint_path,
    checkpoints,
    epochs_of,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_model,
)
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
from keras_recurrent.pipelines.workers import Workers

# Of several workers, the chief is asked for the time at every so manieth batch.
_ASKED = 50


class KeepProgress(keras.callbacks.Callback):
    """Keeps each epoch in the run folder, and stops when patience is lost.

    An epoch counts as soon as its line is in `metrics.jsonl`; the weights to
    go on from are there before, and within an epoch as often as the recipe
    says. Every file is whole or not there: an interruption at any time, even
    while writing, damages nothing. (Keras's `BackupAndRestore` and
    `ModelCheckpoint` write in place, and `EarlyStopping` counts in memory.)
    The weights of the last epoch stay, so that a finished run can go on for
    more, and so do those of the epochs that are to be averaged; until the end
    also those before the last, in case these are damaged. The model has the
    moving averages, if there are some; what a run goes on from has both.

    Args:
        run: The run, with `metrics.jsonl` of all epochs so far.
        left_out: How many pairs training does without, to be kept as well.
        position: Where the training begins, as `restore` has found it.
        workers: Those that train together. Each has this callback, the chief
            writes.

    Raises:
        RunError: the loss is not a number; it says when. What there was before
            is kept.
    """

    def __init__(
        self,
        run: Run,
        left_out: int = 0,
        position: Position | None = None,
        workers: Workers | None = None,
    ) -> None:
        super().__init__()
        self.run = run
        self.left_out = left_out
        self.position = position or Position()
        self.workers = workers or Workers()
        self.began = self.saved = 0.0
        self.ends = math.inf

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch != self.position.epochs:
            self.position = Position(epoch)
        self.saved = time.perf_counter()
        self.began = self.saved - self.position.seconds
        config = self.run.recipe.training
        history = self.run.history()[:epoch]
        self.ends = math.inf
        if config.minutes is not None:
            left = 60 * config.minutes - seconds(history)
            self.ends = self.began + left
        if config.schedule == "plateau":
            self.model.optimizer.learning_rate = self.workers.chief_says(
                plateau_rate(config, values(history, config))
            )

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        # Before a batch rather than after it, as then there is a next one.
        done = self.position.batches + batch
        if batch and self._is_due(done):
            position = self._position(done)  # what all workers have counted
            if self.workers.is_chief:
                save_checkpoint(self.run, self.model, position)
                self._forget(keep=2)
            self.saved = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            epoch = self.position.epochs + 1
            raise self._no_number(
                f"epoch {epoch}, batch {self.position.batches + batch + 1}"
            )
        if batch == 0 and self.position.metrics:
            # Not before: Keras makes some of them for the first batch. All are
            # sums.
            for variable, counted in zip(
                self.model.metrics_variables,
                self.position.metrics,
                strict=True,
            ):
                variable.assign(variable.numpy() + np.float32(counted))
        most = self.run.recipe.training.steps
        if (most is not None and self._steps() >= most) or (
            self.ends < math.inf
            and self._is_agreed(batch, time.perf_counter() >= self.ends)
        ):
            # Validation follows, and the epoch is kept as it is.
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        metrics = logs or {}
        if not math.isfinite(metrics["loss"]):
            raise self._no_number(f"epoch {epoch + 1}")
        finished = self.workers.is_chief and self._keep(epoch, metrics)
        if self.workers.chief_says(finished):
            self.model.stop_training = True

    def _keep(self, epoch: int, metrics: dict[str, Any]) -> bool:
        """Write an epoch to the folder; return whether it was the last."""
        run = self.run
        history = run.history()[:epoch]
        config = run.recipe.training
        if best_value([metrics], config) < best_value(history, config):
            # The model is that of one epoch again.
            run.average.unlink(missing_ok=True)
            with averages_in_place(self.model):
                save_model(run, self.model)
        save_checkpoint(run, self.model, Position(epoch + 1))
        took = round(time.perf_counter() - self.began, 1)
        history.append(
            {
                "epoch": epoch + 1,
                **metrics,
                "steps": self._steps(),
                "left_out": self.left_out,
                "seconds": took,
            }
        )
        with whole_file(run.training_picture) as draft:
            training_figure(history).savefig(draft)
        with whole_file(run.metrics) as draft:
            draft.write_text("".join(json.dumps(x) + "\n" for x in history))
        finished = is_finished(history, config)
        self._forget(keep=1 if finished else 2, history=history)
        return finished

    def _is_agreed(self, batch: int, mine: bool) -> bool:
        """Whether it is time for something, by the clock of the chief."""
        if self.workers.count == 1:
            return mine
        return batch % _ASKED == 0 and bool(self.workers.chief_says(mine))

    def _is_due(self, done: int) -> bool:
        """Whether a checkpoint is wanted after so many batches."""
        config = self.run.recipe.training
        if config.checkpoint_steps and done % config.checkpoint_steps == 0:
            return True
        minutes = config.checkpoint_minutes
        if minutes is None:
            return False
        waited = time.perf_counter() - self.saved
        return self._is_agreed(done, waited >= 60 * minutes)

    def _steps(self) -> int:
        return int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))

    def _position(self, batches: int) -> Position:
        return Position(
            self.position.epochs,
            batches,
            time.perf_counter() - self.began,
            [v.numpy().tolist() for v in self.model.metrics_variables],
        )

    def _forget(
        self, keep: int, history: list[dict[str, Any]] | None = None
    ) -> None:
        """Remove checkpoints but the latest and those to be averaged."""
        run, config = self.run, self.run.recipe.training
        kept = set(checkpoints(run)[:keep])
        if config.average > 1:
            history = run.history() if history is None else history
            averaged = averaged_epochs(history, config)
            kept |= {checkpoint_path(run, number) for number in averaged}
        for old in set(run.checkpoints.iterdir()) - kept:
            old.unlink()

    def _no_number(self, when: str) -> RunError:
        rate = float(self.model.optimizer.learning_rate)
        return RunError(
            f"{self.run.folder}: the loss is not a number in {when}, at a "
            f"learning rate of {rate:.3g}. What there was before is kept. "
            "Choose another folder with --run and a training.learning_rate "
            f"below {self.run.recipe.training.learning_rate}"
        )


def restore(run: Run, model: Seq2Seq) -> Position:
    """Load the latest checkpoint that belongs to the history of a run.

    One that is damaged is passed over, which is said; if all are lost, the
    model of the best epoch is taken.

    Returns:
        Where training is to go on; at the beginning if there is nothing yet.

    Raises:
        RunError: nothing of what there is can be read.
    """
    history = run.history()
    known = [
        path for path in checkpoints(run) if epochs_of(path) <= len(history)
    ]
    for path in known:
        try:
            position = load_checkpoint(model, path)
        except RunError as error:
            say(f"{error}. The one before it is used")
            continue
        if position.epochs < len(history):
            say(
                f"{run.folder}: goes on after epoch {position.epochs}; what "
                "came later is trained again"
            )
        return position
    if not history:
        if known:
            raise RunError(
                f"{run.checkpoints}: damaged, and there is nothing else to go "
                "on from yet. Remove it to begin again"
            )
        return Position()
    best = best_epoch(history, run.recipe.training)
    what = "the average in place of" if run.average.exists() else "those of"
    say(
        f"{run.folder}: the weights of epoch {len(history)} are not there; "
        f"goes on from {what} the best epoch, {best}"
    )
    load_weights(model, run.model)
    swap_averages(model)
    return Position(best)
