"""Loops that TensorFlow itself differentiates."""

import contextlib
import contextvars
from collections.abc import Iterator

_wanted = contextvars.ContextVar("plain loops are wanted", default=False)


@contextlib.contextmanager
def plain_loops() -> Iterator[None]:
    """Leave the gradient of the loops made in this context to TensorFlow.

    In training, recurrent layers make the gradient of their loop themselves,
    which is faster but has no gradient of its own. Where the gradient of a
    gradient is needed, as for a gradient penalty, call the layer, or trace the
    training step, in this context:

        with plain_loops(), tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                ...

    Example:

    >>> import tensorflow as tf
    >>> from keras_recurrent.layers import LSTM
    >>> layer, x = LSTM(2), tf.ones((1, 3, 2))
    >>> @tf.function
    ... def penalty(x):
    ...     with plain_loops(), tf.GradientTape() as outer:
    ...         outer.watch(x)
    ...         with tf.GradientTape() as inner:
    ...             inner.watch(x)
    ...             y = tf.reduce_sum(layer(x, training=True))
    ...         norm = tf.norm(inner.gradient(y, x))
    ...     return outer.gradient(norm, x)
    >>> penalty(x).shape
    TensorShape([1, 3, 2])
    """
    token = _wanted.set(True)
    try:
        yield
    finally:
        _wanted.reset(token)


def are_plain() -> bool:
    """Whether loops are to be left to TensorFlow."""
    return _wanted.get()
