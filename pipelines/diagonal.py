"""Alignments to guide attention with, where source and target run parallel."""

from typing import Any

import tensorflow as tf

# How far from the diagonal, as a share of the length (Tachibana et al., g).
_WIDTH = 0.2


def with_diagonal_alignments(
    inputs: dict[str, tf.Tensor], labels: tf.Tensor
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Add alignments near the diagonal to a batch.

        r_ts ∝ exp(−(s / S − t / T)² / 2g²),   g = 0.2

    for position s of S source tokens and t of T target tokens.

    Args:
        inputs: {"source": (B, S), …}, 0 where padded.
        labels: (B, T), 0 where padded.

    Returns:
        The inputs, with "alignments" (B, T, S), float32, and the labels.

    Reference:
        Tachibana et al. (2018), arXiv:1710.08969, section 4.2.
    """
    places, real = zip(*map(_places, (inputs["source"], labels)), strict=True)
    apart = places[0][:, tf.newaxis] - places[1][:, :, tf.newaxis]  # (B, T, S)
    near = tf.exp(-(apart**2) / (2 * _WIDTH**2))
    near *= real[0][:, tf.newaxis] * real[1][:, :, tf.newaxis]
    return {**inputs, "alignments": near}, labels


def _places(ids: tf.Tensor) -> tuple[Any, Any]:
    """Return where in its sentence each token is, from 0 to 1, and if it is."""
    real = tf.cast(ids != 0, tf.float32)
    lengths = tf.reduce_sum(real, axis=1, keepdims=True)
    numbers = tf.range(tf.shape(ids)[1], dtype=tf.float32)
    return tf.math.divide_no_nan(numbers, lengths), real
