"""Sequences of half the length: each two steps become one."""

from typing import Any

import tensorflow as tf


def in_pairs(memory: Any, mask: Any = None) -> Any:
    """Join each two steps of (B, S, M), zeros where a step does not count.

        m'_i = [m_{2i}, m_{2i+1}]

    Args:
        memory: (B, S, M).
        mask: (B, S), boolean, True at the steps that count, or None.

    Returns:
        (B, ⌈S / 2⌉, 2M).

    Reference:
        Chan et al. (2016), arXiv:1508.01211, equation 5.
    """
    if mask is not None:
        memory = memory * tf.cast(mask, memory.dtype)[..., tf.newaxis]
    rows, steps = tf.unstack(tf.shape(memory)[:2])
    memory = tf.pad(memory, [[0, 0], [0, steps % 2], [0, 0]])
    return tf.reshape(memory, (rows, (steps + 1) // 2, 2 * memory.shape[2]))


def any_of_pairs(mask: Any) -> Any:
    """Return which pairs of steps count, (B, ⌈S / 2⌉), of a mask (B, S)."""
    mask = tf.cast(mask, tf.bool)
    rows, steps = tf.unstack(tf.shape(mask))
    mask = tf.pad(mask, [[0, 0], [0, steps % 2]])
    pairs = tf.reshape(mask, (rows, (steps + 1) // 2, 2))
    return tf.reduce_any(pairs, axis=-1)


def shared_out(alignments: Any, mask: Any, stride: int) -> Any:
    """Share alignments with joined steps out among those that they are of.

    Args:
        alignments: (B, …, S'), with S' = ⌈S / stride⌉ joined steps.
        mask: (B, S), boolean, which steps count.
        stride: How many steps are joined.

    Returns:
        (B, …, S); steps that are joined get as much each.
    """
    rows, width = tf.unstack(tf.shape(mask))
    real = tf.cast(mask, alignments.dtype)
    groups = tf.pad(real, [[0, 0], [0, -width % stride]])
    groups = tf.reshape(groups, (rows, -(-width // stride), stride))
    shares = tf.math.divide_no_nan(1.0, tf.reduce_sum(groups, axis=-1))
    shares = real * tf.repeat(shares, stride, axis=1)[:, :width]  # (B, S)
    for _ in range(alignments.shape.rank - 2):
        shares = shares[:, tf.newaxis]
    return tf.repeat(alignments, stride, axis=-1)[..., :width] * shares
