"""How frequent tokens are, counted from labels."""

from typing import Any

import numpy as np
import tensorflow as tf


def count_tokens(labels: Any, vocabulary_size: int) -> np.ndarray:
    """Count how often each token occurs.

    Args:
        labels: Integers of any shape, also ragged, 0 where padded.
        vocabulary_size: Number V of token ids.

    Returns:
        (V,) int64; padding is not counted.

    Raises:
        ValueError: the labels are no integers, or not all in [0, V).
    """
    if isinstance(labels, tf.RaggedTensor):
        labels = labels.flat_values
    ids = np.asarray(labels).ravel()
    if not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(
            f"Labels must be integers. Received: labels of dtype {ids.dtype}"
        )
    if ids.size and not 0 <= ids.min() <= ids.max() < vocabulary_size:
        raise ValueError(
            f"Labels must be in [0, {vocabulary_size}), the vocabulary. "
            f"Received: labels from {ids.min()} to {ids.max()}"
        )
    counts = np.bincount(ids, minlength=vocabulary_size)
    counts[0] = 0
    return counts


def log_frequencies(counts: np.ndarray) -> np.ndarray:
    """Return the logarithms of how probable each token is, by its count.

        p(v) ∝ n_v                                    if token v occurs
        p(v) ∝ min(N_1 / U, 1)                        for each of the U others

    where N_1 is the number of tokens that occur once, for as probable are
    those that have not occurred yet, all together (Good 1953).

    Args:
        counts: (V,), of which at least one is not zero.

    Returns:
        (V,) float32, the logarithms of probabilities that sum to one.
    """
    unseen = max(int(np.sum(counts == 0)), 1)
    once = max(int(np.sum(counts == 1)), 1)
    mass = np.where(counts > 0, counts, min(once / unseen, 1.0))
    return np.log(mass / mass.sum()).astype("float32")
