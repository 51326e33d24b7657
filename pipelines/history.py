"""The metrics of the epochs so far, and what follows from them."""

import math
from typing import Any

from keras_recurrent.pipelines.recipe import TrainingConfig


def is_finished(history: list[dict[str, Any]], config: TrainingConfig) -> bool:
    """Whether all epochs or minutes are done, or patience is lost.

    That is, whether none of the last epochs was the best.
    """
    if len(history) >= config.epochs:
        return True
    if config.minutes is not None and seconds(history) >= 60 * config.minutes:
        return True
    if config.patience is None:
        return False
    waited = history[-config.patience :]
    earlier = history[: -config.patience]
    return bool(earlier) and best_loss(waited) >= best_loss(earlier)


def seconds(history: list[dict[str, Any]]) -> float:
    """How long training has taken so far."""
    return sum(epoch.get("seconds", 0.0) for epoch in history)


def best_loss(history: list[dict[str, Any]]) -> float:
    """The lowest validation loss; infinite if there is none."""
    losses = [epoch["val_loss"] for epoch in history]
    return min((x for x in losses if not math.isnan(x)), default=math.inf)


def best_epoch(history: list[dict[str, Any]]) -> int:
    """The number of the epoch whose model is kept; 0 if there is none."""
    best = best_loss(history)
    numbers = (n for n, x in enumerate(history, 1) if x["val_loss"] == best)
    return next(numbers, 0)
