"""The product of the last axis with a matrix."""

from typing import Any

import tensorflow as tf

from keras_recurrent.layers.ops.known_shape import known_shape


def product(
    x: Any, kernel: Any, bias: Any = None, transposed: bool = False
) -> Any:
    """Multiply the last axis of `x` with a matrix, and add a bias.

    The numbers are those of `tf.tensordot(x, kernel, 1) + bias`. But where
    sizes are not known when the graph is made, the gradient of that carries a
    permutation from the forward to the backward loop, and XLA refuses it. And
    right after the product, TensorFlow adds a bias in the same pass.

    Args:
        x: (…, D).
        kernel: (D, P), or (P, D) if it is `transposed`.
        bias: (P,) or None.
        transposed: Whether to multiply with the transpose of the matrix,
            which need not be made.

    Returns:
        (…, P).
    """
    x, kernel = tf.convert_to_tensor(x), tf.convert_to_tensor(kernel)
    size, width = reversed(kernel.shape) if transposed else kernel.shape
    rows = x if x.shape.rank == 2 else tf.reshape(x, (-1, size))
    rows = tf.matmul(rows, kernel, transpose_b=transposed)
    if bias is not None:
        rows = tf.nn.bias_add(rows, bias)
    if x.shape.rank == 2:
        return rows
    shape = tf.concat([tf.shape(x)[:-1], [width]], axis=0)
    return known_shape(tf.reshape(rows, shape), (*x.shape[:-1], width))
