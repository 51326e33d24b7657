"""What training shows of itself while it runs."""

import sys
import time
from datetime import timedelta
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from keras_recurrent.pipelines.history import seconds
from keras_recurrent.pipelines.run import Run
from keras_recurrent.pipelines.throughput import Throughput

# Seconds between two looks at the bar: one takes some milliseconds.
_EVERY = 1.0


class TrainingDisplay(keras.callbacks.Callback):
    """Prints a line of each epoch and, on a terminal, a bar below them.

    The bar tells how far the epoch is, the target tokens a second in it, the
    time that is left of the whole training, and the last validation.

    Args:
        run: The run. What is printed of an epoch is what it keeps of it, so
            `KeepProgress` must stand before this.
        throughput: Measures the speed; also before this.
        bar: Whether there may be one.

    Attributes:
        progress: The bar; training must be within it, as a context.
    """

    def __init__(
        self, run: Run, throughput: Throughput, bar: bool = True
    ) -> None:
        super().__init__()
        self.run = run
        self.throughput = throughput
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(None),
            TextColumn("{task.fields[news]}"),
            console=Console(),
            expand=True,
            auto_refresh=False,
            transient=True,
            # What goes to a file shall go on doing so.
            redirect_stderr=sys.stderr.isatty(),
            disable=not (bar and sys.stdout.isatty()),
        )
        self.task = self.progress.add_task("", total=None, news="")
        self.history: list[dict[str, Any]] = []
        self.steps: int | None = None
        self.done = self.first_epoch = 0
        self.began = self.epoch_began = self.shown = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        self.steps = self.params["steps"]
        self.first_epoch = len(self.run.history())
        self.began = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch_began = time.perf_counter()
        self.history = self.run.history()
        self.progress.reset(
            self.task,
            total=self.steps,
            description=f"Epoch {epoch + 1}/{self._epochs}",
            news="",
        )

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.done += 1
        now = time.perf_counter()
        if self.progress.disable or now < self.shown + _EVERY:
            return
        self.shown = now
        self.progress.update(
            self.task, completed=batch + 1, news=self._news(batch + 1, now)
        )
        self.progress.refresh()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        # Of batches of tokens nobody knows before how many there are.
        self.steps = self.steps or self.done
        kept = self.run.history()[-1]
        print(f"Epoch {kept['epoch']}/{self._epochs}: {told(kept)}", flush=True)

    @property
    def _epochs(self) -> int:
        return self.run.recipe.training.epochs

    def _news(self, batch: int, now: float) -> str:
        config = self.run.recipe.training
        news = [f"{batch:,}"]
        left = float("inf")
        if self.steps is not None:
            news = [f"{batch:,}/{self.steps:,}"]
            epochs = config.epochs - self.first_epoch
            rest = max(self.steps * epochs - self.done, 0)
            left = rest * (now - self.began) / self.done
        if config.minutes is not None:
            spent = seconds(self.history) + now - self.epoch_began
            left = min(left, max(60 * config.minutes - spent, 0.0))
        news.append(f"{self.throughput.now():,.0f} tokens/s")
        if left < float("inf"):
            news.append(f"{timedelta(seconds=round(left))} left")
        if self.history:
            name = f"val_{config.best_by}"
            news.append(f"{name} {self.history[-1][name]:.4g}")
        return "  ".join(news)


def told(epoch: dict[str, Any]) -> str:
    """Say in one line what `metrics.jsonl` has of an epoch."""
    names = ["loss", "val_loss", "accuracy", "val_accuracy"]
    names += [x for x in epoch if x.startswith("val_") and x not in names]
    values = [f"{name} {epoch[name]:.4f}" for name in names]
    speed = f"{epoch['tokens_per_second']:,.0f} tokens/s"
    return ", ".join([*values, speed, f"{epoch['seconds']} s"])
