"""Weights of sentences, tokens and classes, one for each token."""

from typing import Any

import numpy as np
import tensorflow as tf


def token_weights_of(sample_weight: Any, labels: Any, dtype: Any) -> Any:
    """Return the weight of each token, (B, T).

    Args:
        sample_weight: (B,) or (B, 1), one weight for each sentence, or (B, T).
        labels: (B, T).
        dtype: Of the result.

    Raises:
        ValueError: the weights are of another shape.
    """
    weights = tf.cast(sample_weight, dtype)
    shape, whole = weights.shape, labels.shape
    fits = shape.rank is None or (
        shape.rank in (1, 2)
        and (shape[:1] + [None]).is_compatible_with(whole)
        and (
            shape.rank == 1 or shape[1] == 1 or shape.is_compatible_with(whole)
        )
    )
    if not fits:
        raise ValueError(
            "`sample_weight` must be of the shape (B,), (B, 1) or (B, T), for "
            f"labels of the shape (B, T) = {tuple(whole)}. "
            f"Received: sample_weight of shape {tuple(shape)}"
        )
    # The rank is not known where one graph serves weights of several.
    weights = tf.reshape(weights, (tf.shape(labels)[0], -1))
    return tf.broadcast_to(weights, tf.shape(labels))


def weights_of_classes(
    class_weight: dict[int, float] | None, vocabulary_size: int
) -> np.ndarray | None:
    """Return the weight of each label, (V,), 1 for those that are not named.

    Raises:
        ValueError: a label is outside of the vocabulary.
    """
    if class_weight is None:
        return None
    weights = np.ones(vocabulary_size, "float32")
    for label, weight in class_weight.items():
        if not 0 <= label < vocabulary_size:
            raise ValueError(
                "`class_weight` must be ids of the vocabulary, from 0 to "
                f"{vocabulary_size - 1}. Received: class_weight of {label}"
            )
        weights[label] = weight
    return weights
