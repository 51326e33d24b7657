"""The softmax over the positions that a mask leaves."""

from typing import Any

import tensorflow as tf


def masked_softmax(scores: Any, mask: Any = None) -> Any:
    """Softmax over the last axis, zero where the mask is False.

    A row without a single position to look at, whether all of them are masked
    or there are none, gives zeros rather than NaN. Computed in float32
    whatever the dtype of the scores, and cast back.

    Args:
        scores: (…, S).
        mask: Boolean, broadcastable to the scores, or None.

    Returns:
        (…, S): each row sums to one, or to zero if it has no position left.
    """
    dtype = scores.dtype
    scores = tf.cast(scores, tf.float32)
    if mask is not None:
        scores = tf.where(mask, scores, scores.dtype.min)
    # The shift by the largest score changes nothing but the rounding.
    top = tf.reduce_max(scores, axis=-1, keepdims=True)
    weights = tf.exp(scores - tf.stop_gradient(top))
    if mask is not None:
        weights = tf.where(mask, weights, 0.0)
    total = tf.reduce_sum(weights, axis=-1, keepdims=True)
    return tf.cast(tf.math.divide_no_nan(weights, total), dtype)
