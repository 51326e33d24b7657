"""Ids that are found to be outside of their vocabulary while a graph runs."""

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

_OUTSIDE = "must be ids of the vocabulary"


def known_ids(
    name: str, ids: Any, size: int, compiled: bool
) -> tuple[Any, Any]:
    """Refuse ids that are outside of their vocabulary.

    Look-ups would do so too, but not where XLA compiles them; there nothing
    can be refused.

    Args:
        name: What they are called in the error.
        ids: A tensor of integers.
        size: The number of ids.
        compiled: Whether XLA compiles the graph.

    Returns:
        The ids, and whether all are inside.
    """
    # Of a type that no size of a vocabulary is too large for.
    exact = tf.cast(ids, tf.int64)
    least, most = tf.reduce_min(exact), tf.reduce_max(exact)
    # Of no ids at all, neither is outside.
    inside = (tf.size(ids) == 0) | ((least >= 0) & (most < size))
    if compiled:
        return ids, inside
    what = f"{name} {_OUTSIDE}, from 0 to {size - 1}. Received: ids from"
    check = tf.debugging.Assert(inside, [what, least, "to", most])
    # Eagerly it has been made already, and is None.
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(ids), inside


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Say what `known_ids` found rather than where TensorFlow found it.

    Raises:
        ValueError: ids are outside of their vocabulary.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        before, found, after = error.message.partition(_OUTSIDE)
        if not found:
            raise
        start = before.rpartition("[")[2]
        message = (start + found + after.splitlines()[0]).replace("] [", " ")
        raise ValueError(message.rstrip("]")) from None
