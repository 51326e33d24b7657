"""The metrics of the epochs so far, and what follows from them."""

import math
from typing import Any

from keras_recurrent.pipelines.recipe import TrainingConfig

_HIGHER_IS_BETTER = ("exact_match", "bleu", "chrf")


def is_finished(history: list[dict[str, Any]], config: TrainingConfig) -> bool:
    """Whether all epochs, steps or minutes are done, or patience is lost.

    That is, whether none of the last epochs was the best.
    """
    if len(history) >= config.epochs:
        return True
    if config.steps is not None and steps(history) >= config.steps:
        return True
    if config.minutes is not None and seconds(history) >= 60 * config.minutes:
        return True
    if config.patience is None:
        return False
    waited = history[-config.patience :]
    earlier = history[: -config.patience]
    if not earlier:
        return False
    return best_value(waited, config) >= best_value(earlier, config)


def steps(history: list[dict[str, Any]]) -> int:
    """How many batches have been trained on so far."""
    return history[-1].get("steps", 0) if history else 0


def seconds(history: list[dict[str, Any]]) -> float:
    """How long training has taken so far."""
    return sum(epoch.get("seconds", 0.0) for epoch in history)


def values(
    history: list[dict[str, Any]], config: TrainingConfig
) -> list[float]:
    """What epochs are compared by; lower is better."""
    sign = -1 if config.best_by in _HIGHER_IS_BETTER else 1
    return [sign * epoch[f"val_{config.best_by}"] for epoch in history]


def best_value(history: list[dict[str, Any]], config: TrainingConfig) -> float:
    """The lowest of these; infinite if there is none."""
    found = values(history, config)
    return min((x for x in found if not math.isnan(x)), default=math.inf)


def best_epoch(history: list[dict[str, Any]], config: TrainingConfig) -> int:
    """The number of the epoch whose model is kept; 0 if there is none."""
    best = best_value(history, config)
    found = enumerate(values(history, config), 1)
    return next((number for number, value in found if value == best), 0)


def averaged_epochs(
    history: list[dict[str, Any]], config: TrainingConfig
) -> list[int]:
    """The numbers of the epochs whose weights are to be averaged, rising.

    Of equal ones the earlier count as better; those whose value is not a number
    are left out.
    """
    found = enumerate(values(history, config), 1)
    known = {number: value for number, value in found if not math.isnan(value)}
    if config.average_of == "last":
        return list(known)[-config.average :]
    return sorted(sorted(known, key=known.__getitem__)[: config.average])
