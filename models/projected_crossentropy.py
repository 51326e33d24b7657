"""Output projection and cross-entropy together, without all the logits."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

# Logits are made for so many tokens at a time, at most: large enough for a
# product to be efficient, small enough for the caches.
_ROWS = 256
# From so large a vocabulary on, compiling what is done with them pays.
_LARGE = 256


class Crossentropy(NamedTuple):
    """The loss of a batch."""

    loss: Any
    """Scalar float32, Σ weights ∗ cross-entropy."""
    predictions: Any
    """(B, T) int32, the most probable tokens, 0 where padded; or None."""


def projected_crossentropy(
    outputs: Any,
    kernel: Any,
    bias: Any,
    labels: Any,
    weights: Any,
    label_smoothing: float = 0.0,
    training: bool = True,
    predict: bool = True,
) -> Crossentropy:
    """Return Σ weights ∗ cross-entropy(labels, outputs·kernel + bias).

    The logits (B, T, V) of a large vocabulary are by far the largest tensor
    of a sequence model, and several times as much is needed to differentiate
    them. Here they are made for a few tokens at a time, and only for those
    that are no padding. As the weights of the tokens are known beforehand,
    their gradient is made at once, too, and but scaled later by that of the
    loss.

    Args:
        outputs: (B, T, U).
        kernel: (U, V).
        bias: (V,).
        labels: (B, T), integers, 0 where padded.
        weights: (B, T), float32, of the tokens.
        label_smoothing: As in `MaskedCrossentropy`.
        training: Whether there will be a gradient.
        predict: Whether the predictions are needed.

    Raises:
        ValueError: `labels` or `weights` are not of the shape (B, T) of the
            outputs.
    """
    for name, value in (("labels", labels), ("weights", weights)):
        if not outputs.shape[:2].is_compatible_with(value.shape):
            raise ValueError(
                f"`{name}` must be of the shape {outputs.shape[:2]} of the "
                f"outputs. Received: {name} of shape {value.shape}"
            )
    labels = tf.cast(labels, tf.int32)
    size = _known_size(labels)
    # The tokens in front, the padding behind, and up to a whole chunk.
    order = tf.argsort(tf.cast(tf.reshape(labels == 0, [-1]), tf.int32))
    back = tf.argsort(order)
    rows_per_chunk = _ROWS
    if isinstance(size, int) and size < _ROWS:
        # A small batch has no need of a whole chunk. Powers of two, as each
        # size is compiled anew.
        rows_per_chunk = 1 << max(size - 1, 0).bit_length()
    chunks = -(-size // rows_per_chunk)
    live = tf.math.count_nonzero(labels, dtype=tf.int32)

    def array_of(dtype: Any, rest: Any) -> Any:
        shape = (rows_per_chunk, *rest)
        return tf.TensorArray(dtype, chunks, element_shape=shape)

    def cut(rows: Any) -> Any:
        """Turn (B, T, …) into an array of chunks (rows, …)."""
        rest = rows.shape[2:]
        # `size` and not -1: rows that are not those of the labels fail.
        rows = tf.gather(tf.reshape(rows, (size, *rest)), order)
        end = [[0, chunks * rows_per_chunk - size], *[[0, 0]] * len(rest)]
        rows = tf.reshape(tf.pad(rows, end), (chunks, rows_per_chunk, *rest))
        return array_of(rows.dtype, rest).unstack(rows)

    def join(array: Any) -> Any:
        """Turn an array of chunks into (B, T, …)."""
        rest = array.element_shape[1:]
        rows = tf.reshape(array.stack(), (-1, *rest))[:size]
        rows = tf.gather(rows, back)
        return tf.reshape(rows, tf.concat([tf.shape(labels), rest], 0))

    label_chunks, weight_chunks = cut(labels), cut(weights)

    @tf.custom_gradient
    def run(
        outputs: Any, kernel: Any, bias: Any
    ) -> tuple[list[Any], Callable[..., list[Any]]]:
        # Gradients of half precision would vanish before they are scaled.
        exact = tf.cast(kernel, tf.float32)
        output_chunks = cut(outputs)

        loss_of_chunk = _compiled_chunk if kernel.shape[1] >= _LARGE else _chunk

        def body(i: Any, loss: Any, best: Any, gradients: Any) -> tuple:
            rows, label = output_chunks.read(i), label_chunks.read(i)
            # Behind the tokens the last chunk has padding.
            rows = tf.where((label != 0)[:, tf.newaxis], rows, 0)
            losses, ids, made = loss_of_chunk(
                rows,
                label,
                weight_chunks.read(i),
                kernel,
                bias,
                exact if training else None,
                label_smoothing,
                predict,
            )
            if predict:
                best = best.write(i, tf.where(label == 0, 0, ids))
            if training:
                d_outputs, d_kernel, d_bias = gradients
                d_rows, more_kernel, more_bias = made
                gradients = (
                    d_outputs.write(i, d_rows),
                    d_kernel + more_kernel,
                    d_bias + more_bias,
                )
            return i + 1, loss + losses, best, gradients

        gradients: Any = ()
        if training:
            gradients = (
                array_of(tf.float32, outputs.shape[2:]),
                tf.zeros_like(exact),
                tf.zeros_like(bias, tf.float32),
            )
        _, loss, best, gradients = tf.while_loop(
            lambda i, *_: i * rows_per_chunk < live,
            body,
            (
                tf.constant(0),
                tf.constant(0.0),
                array_of(tf.int32, []) if predict else (),
                gradients,
            ),
            maximum_iterations=chunks,
        )

        def gradient(d_loss: Any, *_: Any) -> list[Any]:
            d_outputs, d_kernel, d_bias = gradients
            return [
                tf.cast(d_loss * d, value.dtype)
                for d, value in (
                    (join(d_outputs), outputs),
                    (d_kernel, kernel),
                    (d_bias, bias),
                )
            ]

        return ([loss, join(best)] if predict else [loss]), gradient

    kernel, bias = (tf.cast(value, outputs.dtype) for value in (kernel, bias))
    loss, *predictions = run(outputs, kernel, bias)
    return Crossentropy(loss, predictions[0] if predict else None)


def _chunk(
    rows: Any,
    labels: Any,
    weights: Any,
    kernel: Any,
    bias: Any,
    exact: Any,
    label_smoothing: float,
    predict: bool,
) -> tuple[Any, Any, Any]:
    """Return the loss of N tokens, what is predicted, and the gradients.

    Args:
        rows: (N, U).
        labels, weights: (N,).
        kernel, bias: (U, V) and (V,).
        exact: The kernel in float32; without, there is no gradient.
        label_smoothing, predict: As above.
    """
    logits = tf.nn.bias_add(tf.matmul(rows, kernel), bias)
    logits = tf.cast(logits, tf.float32)
    top = tf.reduce_max(logits, axis=-1, keepdims=True)
    exponentials = tf.exp(logits - top)
    total = tf.reduce_sum(exponentials, axis=-1, keepdims=True)
    # Against the targets (1 − ε)·onehot(label) + ε / V.
    expected = tf.gather(logits, labels, batch_dims=1)
    if label_smoothing:
        mean = tf.reduce_mean(logits, axis=-1)
        expected = (1 - label_smoothing) * expected + label_smoothing * mean
    losses = tf.math.log(total[:, 0]) + top[:, 0] - expected
    loss = tf.reduce_sum(losses * weights)
    ids = tf.argmax(logits, axis=-1, output_type=tf.int32) if predict else ()
    if exact is None:
        return loss, ids, ()
    size = logits.shape[-1]
    rest = label_smoothing / size
    targets = tf.one_hot(labels, size, 1 - label_smoothing + rest, rest)
    weights = weights[:, tf.newaxis]
    d_logits = weights * (exponentials / total - targets)
    gradients = (
        tf.matmul(d_logits, exact, transpose_b=True),
        tf.matmul(tf.cast(rows, tf.float32), d_logits, transpose_a=True),
        tf.reduce_sum(d_logits, axis=0),
    )
    return loss, ids, gradients


# Chunks have the same shape whatever that of the batch, so XLA compiles once.
_compiled_chunk = tf.function(_chunk, jit_compile=True, autograph=False)


def _known_size(tensor: Any) -> Any:
    """The number of elements, known if the shape is."""
    size = tensor.shape.num_elements()
    return tf.size(tensor) if size is None else size
