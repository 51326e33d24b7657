"""One loop over time for each processor core.

The steps of a recurrent loop are too small to keep more than one core busy,
but TensorFlow runs loops that do not depend on each other at the same time.
Eagerly there is nothing to run side by side, and on a GPU one large step is
better than two small ones: there the batch stays whole.
"""

import contextlib
import contextvars
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from keras_recurrent.layers.ops.known_shape import known_shape

# Fewer rows than this do not repay a loop of their own.
_ROWS_PER_LOOP = 8
# Nor do more loops than this, where the number of rows is not known.
_MOST_LOOPS = 16

_allowed = contextvars.ContextVar("loops side by side", default=True)


@contextlib.contextmanager
def one_loop() -> Iterator[None]:
    """Make one loop in this context, whatever number of cores there is.

    For graphs that are to run on other machines than this one.
    """
    token = _allowed.set(False)
    try:
        yield
    finally:
        _allowed.reset(token)


def side_by_side(
    run: Callable[[Any, Any], tuple[Any, Any]], over_time: Any, batch: Any
) -> tuple[Any, Any]:
    """Run a loop over parts of the batch, as many as there are cores.

    Args:
        run: Takes what `over_time` and `batch` hold, of any number of rows,
            and returns two nested structures like them, of as many rows.
        over_time: Nested structure of tensors (T, B, …); None stays None.
        batch: Nested structure of tensors (B, …); None stays None.

    Returns:
        What `run` returns, for the whole batch.
    """
    sizes = sizes_of_parts(tf.nest.flatten(over_time)[0])
    pieces = zip(
        cut(over_time, sizes, axis=1), cut(batch, sizes, axis=0), strict=True
    )
    over_time, batch = zip(*(run(*piece) for piece in pieces), strict=True)
    return join(over_time, sizes, axis=1), join(batch, sizes, axis=0)


def sizes_of_parts(sequence: Any) -> list[Any]:
    """Return how many rows of (T, B, …) each part is to have.

    Known sizes stay known, for simpler graphs.
    """
    rows = sequence.shape[1]
    if (
        tf.executing_eagerly()
        or not _allowed.get()
        or tf.config.list_logical_devices("GPU")
    ):
        return [rows]
    cores = tf.config.threading.get_intra_op_parallelism_threads()
    parts = cores or available_cores()
    if rows is None:
        rows, parts = tf.shape(sequence)[1], min(parts, _MOST_LOOPS)
    else:
        parts = max(1, min(parts, rows // _ROWS_PER_LOOP))
    ends = [rows * part // parts for part in range(parts + 1)]
    return [stop - start for start, stop in zip(ends, ends[1:], strict=False)]


def available_cores() -> int:
    """Return how many cores this process may use, as TensorFlow does.

    A container, or Slurm, may give it fewer than the machine has.
    """
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cut(whole: Any, sizes: list[Any], axis: int) -> list[Any]:
    """Cut a nested structure along an axis, into parts of these sizes."""
    if len(sizes) == 1:
        return [whole]
    pieces = [
        [None] * len(sizes)
        if leaf is None
        else tf.split(leaf, sizes, axis, num=len(sizes))
        for leaf in tf.nest.flatten(whole)
    ]
    return [
        tf.nest.pack_sequence_as(whole, piece)
        for piece in zip(*pieces, strict=True)
    ] or [whole] * len(sizes)


def join(pieces: Sequence[Any], sizes: list[Any], axis: int) -> Any:
    """Put parts of these sizes together again."""
    if len(sizes) == 1:
        return pieces[0]
    rows = None if tf.is_tensor(sizes[0]) else sum(sizes)

    def joined(*tensors: Any) -> Any:
        if tensors[0] is None:
            return None
        shape = tensors[0].shape
        known = (*shape[:axis], rows, *shape[axis + 1 :])
        return known_shape(tf.concat(tensors, axis), known)

    return tf.nest.map_structure(joined, *pieces)
