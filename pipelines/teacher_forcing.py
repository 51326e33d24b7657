"""One batch of ids: shifted for teacher forcing, and padded."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_recurrent.pipelines.vocabulary import END_ID, START_ID


def rows_in(batch_size: int, width: tf.Tensor) -> tf.Tensor:
    """Return how many rows of this width a batch of tokens holds."""
    return tf.maximum(batch_size // width, 1)


def for_teacher_forcing(
    full: Any,
    multiple: int,
    names: Sequence[str],
    source: tf.RaggedTensor,
    target: tf.RaggedTensor,
    *more: tf.RaggedTensor,
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Shift the target right, and pad.

    Args:
        full: How many rows there are to be, a number or a function of the
            width of the longer side; None: as many as there are.
        multiple: What the number of columns is a multiple of.
        names: What more there is.
        source: (B, …).
        target: (B, …).
        *more: (B, …) each, or (B, …, F), by these names.

    Returns:
        `{"source": (B, S), "target": (B, T)}`, with more by its names, and the
        labels (B, T).
    """
    column = tf.ones([target.nrows(), 1], tf.int32)  # (B, 1)
    shifted = tf.concat([column * START_ID, target], axis=1)  # (B, 1 + …)
    labels = tf.concat([target, column * END_ID], axis=1)  # (B, … + 1)
    rest = dict(zip(names, more, strict=True))
    widths = {
        # At least one column: a recurrent layer cannot run for no steps.
        name: rounded(tf.maximum(ids.bounding_shape(axis=1), 1), multiple)
        for name, ids in {"source": source, "target": shifted, **rest}.items()
    }
    rows = target.nrows() if full is None else full
    if callable(full):
        rows = full(tf.maximum(widths["source"], widths["target"]))

    def pad(ids: tf.RaggedTensor, name: str) -> tf.Tensor:
        inner = ids.flat_values.shape[1:]
        shape = [tf.cast(rows, tf.int64), widths[name], *inner]
        return ids.to_tensor(shape=tf.stack(shape))  # (B, S) or (B, T)

    inputs = {
        "source": pad(source, "source"),
        "target": pad(shifted, "target"),
    }
    inputs |= {name: pad(ids, name) for name, ids in rest.items()}
    return inputs, pad(labels, "target")


def rounded(lengths: Any, multiple: int) -> Any:
    """Round up to a multiple."""
    return -(-lengths // multiple) * multiple
