"""Layer normalization, as recurrent cells use it."""

from typing import Any

import tensorflow as tf


def layer_norm(
    x: Any, gamma: Any, beta: Any = None, epsilon: float = 1e-3
) -> Any:
    """Normalize each row to mean 0 and variance 1, then scale and shift.

        y = γ ∗ (x − mean(x)) / √(var(x) + ε) + β

    Computed in float32 whatever the dtype of `x`, and cast back.

    Args:
        x: (…, N); mean and variance are over the last axis.
        gamma: (N,), γ.
        beta: (N,), β, or None for none.
        epsilon: ε.

    Reference:
        Ba et al. (2016), arXiv:1607.06450.
    """
    wide = tf.cast(x, tf.float32)
    centred = wide - tf.reduce_mean(wide, axis=-1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
    normal = tf.cast(centred * tf.math.rsqrt(variance + epsilon), x.dtype)
    scaled = normal * tf.cast(gamma, x.dtype)
    return scaled if beta is None else scaled + tf.cast(beta, x.dtype)
