"""The product of the last axis with a matrix."""

from typing import Any

import tensorflow as tf


def product(x: Any, kernel: Any) -> Any:
    """Multiply the last axis of `x` with a matrix.

    The numbers are those of `tf.tensordot(x, kernel, 1)`. But where sizes are
    not known when the graph is made, the gradient of that carries a
    permutation from the forward to the backward loop, and XLA refuses it.

    Args:
        x: (…, D).
        kernel: (D, P).

    Returns:
        (…, P).
    """
    x, kernel = tf.convert_to_tensor(x), tf.convert_to_tensor(kernel)
    if x.shape.rank == 2:
        return tf.matmul(x, kernel)
    size, width = kernel.shape
    rows = tf.matmul(tf.reshape(x, (-1, size)), kernel)
    shape = tf.concat([tf.shape(x)[:-1], [width]], axis=0)
    return tf.ensure_shape(tf.reshape(rows, shape), (*x.shape[:-1], width))
