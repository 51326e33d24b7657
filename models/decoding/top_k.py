"""The best few of very many."""

from typing import Any

import tensorflow as tf

_BLOCK = 64
# From here on two small searches take less time than a large one.
_MANY = 4096


def top_k(values: Any, k: int) -> tuple[Any, Any]:
    """Return what `tf.math.top_k` does, up to the order of equal values.

    The best k lie in those k blocks that have the largest maxima, so no more
    than these are searched.

    Args:
        values: (…, V), V known.
        k: Number of values, at most V.

    Returns:
        The k largest values, sorted, and their indices (…, k).
    """
    size = values.shape[-1]
    if size < _MANY or k >= size // _BLOCK:
        return tf.math.top_k(values, k)
    blocks = -(-size // _BLOCK)
    rest = blocks * _BLOCK - size
    if rest:
        none = [[0, 0]] * (values.shape.rank - 1)
        values = tf.pad(
            values, [*none, [0, rest]], constant_values=-float("inf")
        )
    shape = tf.shape(values)[:-1]
    values = tf.reshape(values, tf.concat([shape, [blocks, _BLOCK]], 0))
    batch_dims = values.shape.rank - 2
    _, best = tf.math.top_k(tf.reduce_max(values, axis=-1), k)  # (…, k)
    few = tf.gather(values, best, batch_dims=batch_dims)  # (…, k, block)
    few = tf.reshape(few, tf.concat([shape, [k * _BLOCK]], 0))
    values, place = tf.math.top_k(few, k)
    block = tf.gather(best, place // _BLOCK, batch_dims=batch_dims)
    # Where all values are minus infinity, the filling could be among the best.
    return values, tf.minimum(block * _BLOCK + place % _BLOCK, size - 1)
