"""Sums and means over the replicas of a strategy."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def num_replicas() -> int:
    """Return how many replicas train one model, 1 without a strategy."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def sum_over_replicas(value: Any) -> Any:
    """Return the sum of what all replicas of a strategy have.

    Replicas do not get as many tokens each, so a mean over tokens is no mean
    of their means.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def mean_over_replicas(loss: Any) -> Any:
    """Give a replica's share of a loss the value of the mean of all shares.

    Its gradient stays that of the share. Keras reports the mean over sentences
    of what the replicas say, which have not as many each.
    """
    replicas = num_replicas()
    if replicas == 1:
        return loss
    mean = sum_over_replicas(tf.stop_gradient(loss)) / replicas
    return loss + tf.stop_gradient(mean - loss)


def sum_at_first_replica(gradients: Sequence[Any]) -> list[Any]:
    """Give the first replica the sum of the gradients of all, others zeros.

    An optimizer sums what it gets from the replicas, but clips it before. So
    what it clips is the whole gradient, and zeros.

    Args:
        gradients: A tensor, `tf.IndexedSlices` or None for each variable.
    """
    context = tf.distribute.get_replica_context()
    sums = iter(
        sum_over_replicas([one for one in gradients if one is not None])
    )
    is_first = context.replica_id_in_sync_group == 0

    def mine(value: Any) -> Any:
        # A product, so that all replicas see what is not a number.
        return value * tf.cast(is_first, value.dtype)

    def of_sum(value: Any) -> Any:
        if isinstance(value, tf.IndexedSlices):
            values = mine(value.values)
            return tf.IndexedSlices(values, value.indices, value.dense_shape)
        return mine(value)

    return [None if one is None else of_sum(next(sums)) for one in gradients]
