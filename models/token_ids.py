"""Token ids as they are given, made into a tensor."""

from typing import Any

import numpy as np
import tensorflow as tf


def token_ids(
    name: str, given: Any, vocabulary_size: int, ranks: tuple[int, ...] = (2,)
) -> Any:
    """Return ids as one tensor, int32, padded with 0 at the right.

    Ids outside of the vocabulary are found if they are known. In a graph they
    are not; there, on a CPU, the embedding fails, and on a GPU or under XLA
    nothing says so.

    Args:
        name: What they are called in errors.
        given: Integers: a tensor, an array, nested lists, or a ragged tensor.
        vocabulary_size: The number of ids.
        ranks: How many axes there may be.

    Raises:
        ValueError: they are no integers, not of such a rank, or outside of the
            vocabulary.

    Example:

    >>> token_ids("source", [[4, 5, 6], [7]], vocabulary_size=8).numpy()
    array([[4, 5, 6],
           [7, 0, 0]], dtype=int32)
    """
    ids = _tensor(name, given)
    if not ids.dtype.is_integer or ids.shape.rank not in (None, *ranks):
        shapes = " or ".join(f"of rank {rank}" for rank in ranks)
        raise ValueError(
            f"`{name}` must be integers {shapes}, 0 where padded. "
            f"Received: {ids.dtype.name} of shape {ids.shape}"
        )
    if tf.executing_eagerly() and 0 not in ids.shape:
        # Before the cast, which would cut large ones.
        known = ids.numpy()
        low, high = known.min(), known.max()
        if low < 0 or high >= vocabulary_size:
            raise ValueError(
                f"`{name}` must hold ids from 0 to {vocabulary_size - 1}, as "
                f"the vocabulary has {vocabulary_size}. Received: ids from "
                f"{low} to {high}"
            )
    return tf.cast(ids, tf.int32)


def padded(given: Any) -> Any:
    """Return a ragged tensor padded with 0, and others as they are."""
    return given.to_tensor() if isinstance(given, tf.RaggedTensor) else given


def check_inputs(inputs: Any) -> None:
    """Refuse inputs of a `Seq2Seq` that lack a part."""
    names = list(inputs) if isinstance(inputs, dict) else None
    if names is None or not {"source", "target"} <= set(names):
        raise ValueError(
            'The inputs must be {"source": (B, S), "target": (B, T)}. '
            f"Received: {names or type(inputs).__name__}"
        )


def _tensor(name: str, given: Any) -> Any:
    if isinstance(given, tf.RaggedTensor) or tf.is_tensor(given):
        return padded(given)
    if isinstance(given, np.ndarray) and given.dtype != object:
        return tf.convert_to_tensor(given)
    try:
        are_tensors = any(tf.is_tensor(row) for row in given)
        rows = padded(
            tf.ragged.stack(given) if are_tensors else tf.ragged.constant(given)
        )
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` must be rows of integers. Received: {given!r}"
        ) from error
    # Nothing tells the type of empty rows.
    return tf.cast(rows, tf.int32) if 0 in rows.shape else rows
