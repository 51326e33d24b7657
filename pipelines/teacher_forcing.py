"""One batch of ids: shifted for teacher forcing, and padded."""

from typing import Any

import tensorflow as tf

from keras_recurrent.pipelines.vocabulary import END_ID, START_ID


def rows_in(batch_size: int, width: tf.Tensor) -> tf.Tensor:
    """Return how many rows of this width a batch of tokens holds."""
    return tf.maximum(batch_size // width, 1)


def for_teacher_forcing(
    full: Any,
    multiple: int,
    source: tf.RaggedTensor,
    target: tf.RaggedTensor,
    copies: tf.RaggedTensor | None = None,
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Shift the target right, and pad.

    Args:
        full: How many rows there are to be, a number or a function of the
            width of the longer side; None: as many as there are.
        multiple: What the number of columns is a multiple of.
        source: (B, …).
        target: (B, …).
        copies: (B, …), what can be copied of the source, if anything.

    Returns:
        `{"source": (B, S), "target": (B, T)}`, with "copies" (B, S) if they
        are given, and the labels (B, T).
    """
    column = tf.ones([target.nrows(), 1], tf.int32)  # (B, 1)
    shifted = tf.concat([column * START_ID, target], axis=1)  # (B, 1 + …)
    labels = tf.concat([target, column * END_ID], axis=1)  # (B, … + 1)
    widths = {
        # At least one column: a recurrent layer cannot run for no steps.
        name: rounded(tf.maximum(ids.bounding_shape(axis=1), 1), multiple)
        for name, ids in (("source", source), ("target", shifted))
    }
    rows = target.nrows() if full is None else full
    if callable(full):
        rows = full(tf.maximum(*widths.values()))

    def pad(ids: tf.RaggedTensor, name: str) -> tf.Tensor:
        shape = [tf.cast(rows, tf.int64), widths[name]]
        return ids.to_tensor(shape=tf.stack(shape))  # (B, S) or (B, T)

    inputs = {
        "source": pad(source, "source"),
        "target": pad(shifted, "target"),
    }
    if copies is not None:
        inputs["copies"] = pad(copies, "source")
    return inputs, pad(labels, "target")


def rounded(lengths: Any, multiple: int) -> Any:
    """Round up to a multiple."""
    return -(-lengths // multiple) * multiple
