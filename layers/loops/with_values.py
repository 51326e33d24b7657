"""Weights of a cell as arguments of a function."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


def floating(variables: Sequence[Any]) -> list[Any]:
    """Return those that there can be gradients for."""
    return [v for v in variables if tf.as_dtype(v.dtype).is_floating]


def with_values(variables: Sequence[Any], values: Sequence[Any]) -> Any:
    """Return a scope within which these variables have these values."""
    scope = keras.StatelessScope()
    for pair in zip(variables, values, strict=False):
        # Unlike the scope's argument, this does not cast the value back to the
        # dtype of the variable.
        scope.add_update(pair)
    return scope
