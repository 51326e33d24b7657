"""Running TensorFlow's functions without their graphs."""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf


@contextmanager
def eagerly(is_so: bool = True) -> Iterator[None]:
    """Run functions step by step, within this context.

    To trace the graph of beam search takes seconds, longer than to decode a few
    texts without one.

    Args:
        is_so: Whether to; if not, nothing changes.
    """
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(is_so or before)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
