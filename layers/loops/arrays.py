"""Arrays over time that one loop writes, for another to read."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_recurrent.layers.ops.known_shape import known_shape
from keras_recurrent.layers.ops.recurrence import stack


def array_for(size: Any, spec: tf.TensorSpec) -> Any:
    """Return an array over time, to be written in a loop."""
    return tf.TensorArray(spec.dtype, size, element_shape=spec.shape)


def stacked(array: Any, rows: Any) -> Any:
    """Return an array of (B, …) as (T, B, …), where `rows` is B."""
    # A state can be as long as the memory, which may be unknown.
    features = [-1 if n is None else n for n in array.element_shape[1:]]
    sequence = stack(array, tf.concat([[rows], features], axis=0))
    return known_shape(sequence, (None, *array.element_shape))


def write(
    arrays: dict[int, Any], t: Any, values: Sequence[Any]
) -> dict[int, Any]:
    """Write to those arrays that there are, by number."""
    return {i: array.write(t, values[i]) for i, array in arrays.items()}
