"""The sparse relative of the softmax."""

from typing import Any

import tensorflow as tf


def sparsemax(scores: Any, mask: Any = None) -> Any:
    """Project scores onto the probabilities, which leaves many at zero.

        p = argmin_p |p − scores|²  over p ≥ 0, Σ p = 1
          = max(scores − τ, 0), with τ such that they sum to one

    Computed in float32 whatever the dtype of the scores, and cast back.

    Args:
        scores: (…, S).
        mask: Boolean, broadcastable to the scores, or None.

    Returns:
        (…, S): zero where the mask is False; each row sums to one, or to zero
        if it has no position left.

    Reference:
        Martins & Astudillo (2016), arXiv:1602.02068.
    """
    dtype = scores.dtype
    scores = tf.cast(scores, tf.float32)
    live = tf.ones_like(scores, tf.bool)
    if mask is not None:
        live = tf.broadcast_to(mask, tf.shape(scores))
    # Relative to the best one, of which p is a function all the same.
    lowest = scores.dtype.min
    best = tf.reduce_max(tf.where(live, scores, lowest), -1, keepdims=True)
    # What is one or more below the best has no share: the mask can be there
    # too, and differences beyond float32 do no harm.
    scores = tf.maximum(scores - tf.stop_gradient(best), -1.0)
    scores = tf.where(live, scores, -1.0)
    ranked = tf.sort(scores, axis=-1, direction="DESCENDING")
    ranks = tf.range(1, tf.shape(scores)[-1] + 1, dtype=tf.float32)
    sums = tf.cumsum(ranked, axis=-1)
    # How many have a share, and the threshold that this makes.
    supported = tf.cast(1 + ranks * ranked > sums, tf.float32)
    count = tf.reduce_sum(supported, axis=-1, keepdims=True)
    total = tf.reduce_sum(supported * ranked, axis=-1, keepdims=True)
    threshold = tf.math.divide_no_nan(total - 1, count)
    shares = tf.where(live, tf.nn.relu(scores - threshold), 0.0)
    return tf.cast(shares, dtype)
