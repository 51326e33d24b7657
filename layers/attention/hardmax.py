"""All of the probability to the best position."""

from typing import Any

import tensorflow as tf


def hardmax(scores: Any, mask: Any = None) -> Any:
    """Give the highest score, the first of equal ones, all probability.

    There is no gradient to the scores.

    Args:
        scores: (…, S).
        mask: Boolean, broadcastable to the scores, or None.

    Returns:
        (…, S): one 1 in each row, or none if the mask leaves no position.
    """
    if mask is not None:
        scores = tf.where(mask, scores, scores.dtype.min)
    # Not by `argmax`, which fails where there are no positions.
    best = scores >= tf.reduce_max(scores, axis=-1, keepdims=True)
    if mask is not None:
        best = best & mask
    first = tf.cumsum(tf.cast(best, tf.int32), axis=-1) == 1
    return tf.cast(best & first, scores.dtype)
