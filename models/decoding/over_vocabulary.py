"""Reductions over a whole vocabulary, in as few passes as can be.

The logits of all beams are large, and each pass over them takes time. Both
reductions here go by the maxima of the same blocks, which are found once.
"""

from typing import Any

import tensorflow as tf

# The size of blocks, from so many values on.
_BLOCKS = {4096: 64, 512: 16}


def top_k(values: Any, k: int) -> tuple[Any, Any]:
    """Return what `tf.math.top_k` does, up to the order of equal values.

    The best k lie in those k blocks that have the largest maxima, so no more
    than these are searched.

    Args:
        values: (R, V), V known.
        k: Number of values, at most V.

    Returns:
        The k largest values, sorted, and their indices (R, k).
    """
    size = values.shape[-1]
    block = _block_size(size)
    if k >= size // block:
        return tf.math.top_k(values, k)
    blocks, maxima = _blocks(values, block)
    _, best = tf.math.top_k(maxima, k)  # (R, k)
    few = tf.gather(blocks, best, batch_dims=1)  # (R, k, block)
    few = tf.reshape(few, (tf.shape(values)[0], k * block))
    values, place = tf.math.top_k(few, k)
    best = tf.gather(best, place // block, batch_dims=1)
    # Where all values are minus infinity, the filling could be among the best.
    return values, tf.minimum(best * block + place % block, size - 1)


def logsumexp(values: Any) -> Any:
    """Return log Σ_v exp(values_v), (R, V) to (R,), V known."""
    _, maxima = _blocks(values, _block_size(values.shape[-1]))
    # The shift must be finite also where all values are minus infinity. Not
    # bounding it at the end keeps XLA from taking the maximum of all anew.
    top = tf.reduce_max(tf.maximum(maxima, values.dtype.min), axis=-1)
    rest = tf.reduce_sum(tf.exp(values - top[:, tf.newaxis]), axis=-1)
    return top + tf.math.log(rest)


def _block_size(size: int) -> int:
    return next((b for least, b in _BLOCKS.items() if size >= least), 1)


def _blocks(values: Any, block: int) -> tuple[Any, Any]:
    """Cut (R, V) into blocks (R, N, block); return these and their maxima."""
    size = values.shape[-1]
    count = -(-size // block)
    rest = count * block - size
    if rest:
        values = tf.pad(
            values, [[0, 0], [0, rest]], constant_values=-float("inf")
        )
    blocks = tf.reshape(values, (tf.shape(values)[0], count, block))
    return blocks, tf.reduce_max(blocks, axis=-1)
