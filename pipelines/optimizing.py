"""Optimizers, and how their learning rate goes."""

import math
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.pipelines.recipe import TrainingConfig
from keras_recurrent.pipelines.recipe_file import RecipeError

# Schedules that end, and so must know when.
ENDING = ("linear", "cosine", "one_cycle")

# Of one cycle: the share of the batches over which the rate rises, and by what
# the peak is divided at the beginning and at the end.
_RISING, _FIRST, _LAST = 0.3, 25.0, 250_000.0


@keras.saving.register_keras_serializable(package="keras_recurrent")
class WarmedSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises over some batches, and then falls.

    With w batches of warming up, and T in all, that of batch t from 0 is

        peak · (t + 1) / w                      for t < w, then
        peak                                    "constant"
        peak · (T − t) / (T − w)                "linear"
        peak · (1 + cos(π(t − w) / (T − w))) / 2   "cosine"
        peak · √(w / (t + 1))                   "inverse_sqrt" (w at least 1)

    and 0 behind T where it ends at 0. "one_cycle" both rises and falls by a
    cosine; with c(x) = (1 − cos(πx)) / 2, a = peak / 25, z = peak / 250000, and
    w = 0.3 T unless another one is given:

        a + (peak − a) · c(t / (w − 1))            for t < w − 1, then
        peak + (z − peak) · c((t − w + 1) / (T − w))

    and z behind T. Momentum, and the β of Adam, stay as they are.

    Args:
        kind: One of these names.
        peak: The highest learning rate.
        warmup_steps: w; with 0 there is no rise, of "one_cycle" the usual one.
            Keras counts batches also where gradients are accumulated over
            several.
        total_steps: T; needed where it ends.

    References:
        Vaswani et al. (2017), arXiv:1706.03762, section 5.3: the last one.
        Loshchilov & Hutter (2017), arXiv:1608.03983: the cosine.
        Smith & Topin (2018), arXiv:1708.07120: one cycle, with the shape and
        the numbers of PyTorch's `OneCycleLR`.
    """

    def __init__(
        self,
        kind: str,
        peak: float,
        warmup_steps: int = 0,
        total_steps: int | None = None,
    ) -> None:
        self.kind = kind
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps

    def __call__(self, step: Any) -> Any:
        step = tf.cast(step, tf.float32)
        if self.kind == "one_cycle":
            return self.peak * self._cycle(step)
        warm = float(self.warmup_steps)
        share: Any = 1.0
        if self.kind == "inverse_sqrt":
            warm = max(warm, 1.0)
            share = tf.sqrt(warm / tf.maximum(step + 1, warm))
        elif self.kind in ENDING:
            rest = max((self.total_steps or 0) - warm, 1.0)
            gone = tf.clip_by_value((step - warm) / rest, 0.0, 1.0)
            share = 1 - gone
            if self.kind == "cosine":
                share = (1 + tf.cos(math.pi * gone)) / 2
        if warm:
            share *= tf.minimum((step + 1) / warm, 1.0)
        return self.peak * share

    def _cycle(self, step: Any) -> Any:
        total = self.total_steps or 0
        top = (self.warmup_steps or _RISING * total) - 1  # where the peak is

        def between(start: float, end: float, gone: Any) -> Any:
            gone = tf.clip_by_value(gone, 0.0, 1.0)
            return end + (start - end) * (1 + tf.cos(math.pi * gone)) / 2

        return tf.where(
            step < top,
            between(1 / _FIRST, 1.0, step / max(top, 1.0)),
            between(1.0, 1 / _LAST, (step - top) / max(total - 1 - top, 1.0)),
        )

    def get_config(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
        }


def make_optimizer(
    config: TrainingConfig, total_steps: int | None = None
) -> keras.optimizers.Optimizer:
    """Make the optimizer that a recipe asks for.

    Args:
        config: the recipe's section.
        total_steps: batches of the whole training, if known.

    Raises:
        RecipeError: the schedule needs to know them, and they are not.
    """
    rate: Any = config.learning_rate
    if config.schedule in ENDING and total_steps is None:
        raise RecipeError(
            f"training.schedule={config.schedule} needs to know the number of "
            "batches of an epoch, which training.data_service does not tell"
        )
    if config.schedule != "plateau" and (
        config.schedule != "constant" or config.warmup_steps
    ):
        rate = WarmedSchedule(
            config.schedule, rate, config.warmup_steps, total_steps
        )
    options: dict[str, Any] = {
        "learning_rate": rate,
        "global_clipnorm": config.clipnorm,
        "weight_decay": config.weight_decay,
    }
    if config.gradient_accumulation > 1:
        options["gradient_accumulation_steps"] = config.gradient_accumulation
    if config.ema is not None:
        options["use_ema"] = True
        # Keras moves the averages with each batch, also where there is a step
        # after several only.
        each = 1 / config.gradient_accumulation
        options["ema_momentum"] = config.ema**each
    if config.optimizer == "sgd":
        options["momentum"] = config.momentum
    makers = {
        "adam": keras.optimizers.Adam,
        "adafactor": keras.optimizers.Adafactor,
        "sgd": keras.optimizers.SGD,
    }
    optimizer = makers[config.optimizer](**options)
    if config.weight_decay:
        # As is usual: those are no directions that could be too long.
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def plateau_rate(config: TrainingConfig, values: list[float]) -> float:
    """Return the learning rate after epochs that reached these values.

    It is halved whenever there was none lower for `plateau_epochs`.
    """
    rate, best, waited = config.learning_rate, math.inf, 0
    for value in values:
        waited += 1
        if value < best:
            best, waited = value, 0
        elif waited >= config.plateau_epochs:
            rate, waited = rate / 2, 0
    return rate
