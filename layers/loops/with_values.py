"""Weights of a cell as arguments of a function."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


def weights_and_values(cell: Any) -> tuple[list[Any], list[Any]]:
    """Return those weights that there can be gradients for, and their values.

    The values are of the dtype that the policy around the call casts to.
    """
    weights = [
        weight
        for weight in cell.variables
        if tf.as_dtype(weight.dtype).is_floating
    ]
    return weights, [tf.convert_to_tensor(weight) for weight in weights]


def with_values(weights: Sequence[Any], values: Sequence[Any]) -> Any:
    """Return a scope within which these weights have these values."""
    scope = keras.StatelessScope()
    for pair in zip(weights, values, strict=False):
        # Unlike the scope's argument, this does not cast the value back to the
        # dtype of the variable.
        scope.add_update(pair)
    return scope
