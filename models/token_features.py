"""The features of source tokens, as they are given, made into a tensor."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_recurrent.models.known_ids import known_ids
from keras_recurrent.models.token_ids import token_ids


def check_feature_sizes(sizes: Sequence[int], dims: Sequence[int]) -> None:
    """Refuse an `Encoder` whose features have not each a size and a vector."""
    if len(sizes) != len(dims) or any(size < 1 for size in (*sizes, *dims)):
        raise ValueError(
            "`feature_sizes` and `feature_dims` must be positive, and as many "
            f"of both. Received: feature_sizes={list(sizes)}, "
            f"feature_dims={list(dims)}"
        )


def feature_ids(given: Any, source: Any, sizes: Sequence[int]) -> Any:
    """Return features as one tensor (B, S, F), int32, 0 where padded.

    Args:
        given: Integers: a tensor, an array, nested lists, or a ragged tensor.
        source: (B, S), the ids of the tokens that they are of.
        sizes: The number of ids of each of the F features.

    Raises:
        ValueError: they are no integers, not F for each token, or outside of
            their vocabularies.

    Example:

    >>> source = token_ids("source", [[4, 5], [6]], vocabulary_size=8)
    >>> feature_ids([[[4, 7], [5, 7]], [[4, 8]]], source, [6, 9])[1].numpy()
    array([[4, 8],
           [0, 0]], dtype=int32)
    """
    if isinstance(given, list | tuple):
        try:
            # Tokens with fewer features than others would be padded, too.
            given = tf.ragged.constant(given, ragged_rank=1)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "`features` must be rows of tokens, each with as many "
                f"integers. Received: {given!r}"
            ) from error
    ids = token_ids("features", given, max(sizes), ranks=(3,))
    shape = tf.TensorShape([*source.shape, len(sizes)])
    if not ids.shape.is_compatible_with(shape):
        raise ValueError(
            f"`features` must be (B, S, F), {len(sizes)} for each token of "
            f"the source. Received: features of shape {ids.shape}, and a "
            f"source of shape {source.shape}"
        )
    ids = tf.ensure_shape(ids, shape)
    columns = tf.unstack(ids, axis=-1)
    return tf.stack(
        [
            token_ids(f"features[:, :, {number}]", column, size)
            for number, (column, size) in enumerate(
                zip(columns, sizes, strict=True)
            )
        ],
        axis=-1,
    )


def known_features(
    ids: Any, sizes: Sequence[int], compiled: bool
) -> tuple[Any, Any]:
    """Refuse features that are outside of their vocabularies, see `known_ids`.

    Args:
        ids: (B, S, F), integers. What is wrong with another shape is told by
            `feature_ids`.
        sizes: The number of ids of each of the F features.
        compiled: Whether XLA compiles the graph.

    Returns:
        The ids, and whether all are inside.
    """
    shape = tf.TensorShape([None, None, len(sizes)])
    if not ids.shape.is_compatible_with(shape):
        return ids, True
    columns = tf.unstack(tf.ensure_shape(ids, shape), axis=-1)
    known, inside = zip(
        *(
            known_ids(f"Features (:, :, {number})", column, size, compiled)
            for number, (column, size) in enumerate(
                zip(columns, sizes, strict=True)
            )
        ),
        strict=True,
    )
    return tf.stack(known, axis=-1), tf.reduce_all(inside)
