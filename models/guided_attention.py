"""Training attention on alignments that are known."""

from typing import Any

import keras
import tensorflow as tf


def guided_attention_loss(alignments: Any, reference: Any) -> Any:
    """Return the cross-entropy of alignments with the true ones.

        loss = −Σ_s r_ts log a_ts,  averaged over the target tokens t with
        any reference, where r are the rows of the reference, made to sum to 1

    Args:
        alignments: (B, T, S).
        reference: (B, T, S), not negative: which source positions belong to
            each target token. Rows of zeros are of tokens of which nothing is
            known, and of padding.

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
    return tf.math.divide_no_nan(
        -tf.reduce_sum(reference * log),
        tf.math.count_nonzero(total, dtype=tf.float32),
    )
