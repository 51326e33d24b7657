"""One loop over time for each processor core."""

import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Fewer rows than this do not repay a loop of their own.
_ROWS_PER_LOOP = 8


def side_by_side(run: Callable[..., Any], *batch: Any) -> Any:
    """Run a loop over parts of the batch, as many as there are cores.

    The steps of a recurrent loop are too small to keep more than one core
    busy, but TensorFlow runs loops that do not depend on each other at the
    same time. Eagerly there is nothing to run side by side, and on a GPU one
    large step is better than two small ones: there `run` gets the whole batch.

    Args:
        run: Takes what `batch` holds, of any number of rows, and returns a
            nested structure of tensors of as many rows.
        *batch: Nested structures of tensors (B, …); None stays None.

    Returns:
        What `run` returns, for the whole batch.
    """
    first = tf.nest.flatten(batch)[0]
    parts = _number_of_parts(first.shape[0])
    if parts == 1:
        return run(*batch)
    return tf.nest.map_structure(
        lambda *tensors: tf.ensure_shape(
            tf.concat(tensors, axis=0),
            (first.shape[0], *tensors[0].shape[1:]),
        ),
        *(run(*part) for part in _cut(batch, parts)),
    )


def _number_of_parts(rows: int | None) -> int:
    if tf.executing_eagerly() or tf.config.list_logical_devices("GPU"):
        return 1
    cores = tf.config.threading.get_intra_op_parallelism_threads()
    parts = cores or os.cpu_count() or 1
    if rows is not None:
        parts = min(parts, rows // _ROWS_PER_LOOP)
    return max(1, parts)


def _cut(batch: Any, parts: int) -> list[Any]:
    """Cut into parts of about B / parts rows."""
    first = tf.nest.flatten(batch)[0]
    # Known sizes stay known, for simpler graphs.
    rows = first.shape[0] or tf.shape(first)[0]
    ends = [rows * part // parts for part in range(parts + 1)]
    sizes = [stop - start for start, stop in zip(ends, ends[1:], strict=False)]
    pieces = [
        [None] * parts if tensor is None else tf.split(tensor, sizes, num=parts)
        for tensor in tf.nest.flatten(batch)
    ]
    return [
        tf.nest.pack_sequence_as(batch, piece)
        for piece in zip(*pieces, strict=True)
    ]
