"""Training attention not to look again at what it has looked at."""

from typing import Any

import tensorflow as tf


def coverage_loss(alignments: Any, target: Any, count: Any = None) -> Any:
    """Return how much of the alignments is on what was covered before.

        loss = Σ_s min(a_ts, c_ts),   c_t = Σ_{t' < t} a_t',
        averaged over the target tokens t

    Args:
        alignments: (B, T, S).
        target: (B, T), the tokens, 0 where padded.
        count: What to divide by in place of the number of tokens; for one of
            several replicas.

    Returns:
        A scalar, float32; zero without tokens.

    Reference:
        See et al. (2017), arXiv:1704.04368, equations 10 and 12.
    """
    alignments = tf.cast(alignments, tf.float32)
    covered = tf.cumsum(alignments, axis=1, exclusive=True)
    again = tf.reduce_sum(tf.minimum(alignments, covered), axis=-1)  # (B, T)
    real = tf.cast(target != 0, tf.float32)
    if count is None:
        count = tf.reduce_sum(real)
    return tf.math.divide_no_nan(tf.reduce_sum(again * real), count)
