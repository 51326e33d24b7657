"""Moving averages of the weights, in the place of the weights for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras


def swap_averages(model: keras.Model) -> None:
    """Exchange the weights of a model and the averages its optimizer keeps.

        average_1 = w_1
        average_t = ema · average_{t-1} + (1 − ema) · w_t

    for the weights w_t after step t. Nothing happens if it keeps none. (Keras's
    `SwapEMAWeights` swaps by adding and subtracting, which rounds: each
    validation would change the weights a little.)
    """
    # Mixed precision in float16 puts another one around it.
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if optimizer is None or not optimizer.use_ema:
        return
    for weight, average in zip(
        optimizer._trainable_variables,
        optimizer._model_variables_moving_average,
        strict=True,
    ):
        kept = keras.ops.convert_to_numpy(weight)
        weight.assign(average)
        average.assign(kept)


@contextmanager
def averages_in_place(model: keras.Model) -> Iterator[None]:
    """Have a model with the averages as its weights, and the weights as those.

    What is saved in between has both.
    """
    swap_averages(model)
    try:
        yield
    finally:
        swap_averages(model)


class ValidateAverages(keras.callbacks.Callback):
    """Has `fit` validate the averages, if the optimizer keeps some."""

    def on_test_begin(self, logs: Any = None) -> None:
        swap_averages(self.model)

    def on_test_end(self, logs: Any = None) -> None:
        swap_averages(self.model)
