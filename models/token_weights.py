"""Weights of sentences and tokens, and sums over replicas."""

from typing import Any

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


def sum_over_replicas(value: Any) -> Any:
    """Return the sum of what all replicas of a strategy have.

    Replicas do not get as many tokens each, so a mean over tokens is no mean
    of their means.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)
