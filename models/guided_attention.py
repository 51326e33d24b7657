"""Training attention on alignments that are known."""

from typing import Any

import keras
import tensorflow as tf


def guided_attention_loss(
    alignments: Any, reference: Any, count: Any = None
) -> Any:
    """Return the cross-entropy of alignments with the true ones.

        loss = −Σ_s r_ts log a_ts,  averaged over the target tokens t with
        any reference, where r are the rows of the reference, made to sum to 1

    Args:
        alignments: (B, T, S).
        reference: (B, T, S), not negative: which source positions belong to
            each target token. Rows of zeros are of tokens of which nothing is
            known, and of padding.
        count: What to divide by in place of the number of tokens with any
            reference, see `num_guided`; for one of several replicas.

    Returns:
        A scalar, float32; zero if nothing is known at all.

    Reference:
        Chen et al. (2016), arXiv:1607.01628, section 3.
    """
    alignments = tf.cast(alignments, tf.float32)
    reference = tf.cast(reference, tf.float32)
    total = tf.reduce_sum(reference, axis=-1, keepdims=True)
    reference = tf.math.divide_no_nan(reference, total)
    # A position that gets nothing at all has a gradient neither.
    log = tf.math.log(tf.maximum(alignments, keras.config.epsilon()))
    if count is None:
        count = num_guided(reference)
    return tf.math.divide_no_nan(-tf.reduce_sum(reference * log), count)


def num_guided(reference: Any) -> Any:
    """Return the number of target tokens with any reference, float32.

    Args:
        reference: (B, T, S), as above.
    """
    known = tf.reduce_any(reference != 0, axis=-1)
    return tf.math.count_nonzero(known, dtype=tf.float32)
