"""Layers that NVIDIA's cuDNN can run on a GPU."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any, Literal

import keras
import tensorflow as tf

from keras_recurrent.layers.cell_rnn import CellRNN

_allowed = contextvars.ContextVar("cuDNN is allowed", default=True)


@contextlib.contextmanager
def without_cudnn() -> Iterator[None]:
    """Keep cuDNN out of the graphs that are made in this context.

    A graph with cuDNN in it runs on GPUs only. So make what is exported from
    a machine with a GPU within `with without_cudnn():`.
    """
    token = _allowed.set(False)
    try:
        yield
    finally:
        _allowed.reset(token)


class CudnnRNN(CellRNN):
    """A layer whose loop Keras can run by one operation of cuDNN.

    On a GPU, and for the arguments that cuDNN knows, the loop is that of
    `keras.layers.LSTM` or `GRU`, with our weights. cuDNN wants sentences padded
    on the right and at least one token long; for other masks, found out batch
    by batch, the loop is ours, with the same answers.

    Args:
        units: Positive integer, size of the output.
        use_cudnn: Whether to use cuDNN: "auto" (where it is possible), True
            (an error where it is not) or False.
        **kwargs: The other arguments of `CellRNN`.

    Raises:
        ValueError: `use_cudnn` is not one of the three, or is True where
            cuDNN cannot be used.
    """

    keras_class: type[keras.layers.RNN]

    def __init__(
        self,
        units: int,
        use_cudnn: bool | Literal["auto"] = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(units, **kwargs)
        if use_cudnn not in ("auto", True, False):
            raise ValueError(
                "`use_cudnn` must be 'auto', True or False. "
                f"Received: use_cudnn={use_cudnn!r}"
            )
        self.use_cudnn = use_cudnn
        if self.suits_cudnn() and _has_gpu():
            # Made here, as it has a variable for seeds, and past all
            # tracking, as its weights are ours.
            layer = self.keras_class(
                units,
                return_sequences=self.return_sequences,
                return_state=True,
                dtype=self.dtype_policy,
            )
            object.__setattr__(self, "_keras_layer", layer)
        # XLA cannot compile cuDNN: without this Keras would compile models by
        # default, at the cost of the faster loop.
        self.supports_jit = not self._on_cudnn()

    def suits_cudnn(self) -> bool:
        """Whether cuDNN knows these equations."""
        cell = self.cell
        return (
            type(cell) is self.cell_class
            and cell.activation is keras.activations.tanh
            and cell.recurrent_activation is keras.activations.sigmoid
            and cell.use_bias
            and not cell.recurrent_dropout
            and not self.unroll
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"use_cudnn": self.use_cudnn}

    def _on_cudnn(self) -> bool:
        in_xla = tf.__internal__.get_enclosing_xla_context() is not None
        possible = (
            self.suits_cudnn() and _has_gpu() and _allowed.get() and not in_xla
        )
        return possible and self.use_cudnn is not False

    def _run(
        self,
        sequences: Any,
        states: list[Any],
        mask: Any,
        training: bool,
        constants: Any,
    ) -> tuple[Any, list[Any]]:
        def our_loop() -> tuple[Any, list[Any]]:
            return super(CudnnRNN, self)._run(
                sequences, states, mask, training, constants
            )

        if not self._on_cudnn():
            if self.use_cudnn is True:
                raise ValueError(
                    "`use_cudnn=True`, but cuDNN cannot run this layer here: "
                    "it needs a GPU, no XLA, and the activations tanh and "
                    "sigmoid with a bias and without recurrent dropout. "
                    "Pass use_cudnn='auto' to use it where it can be."
                )
            return our_loop()

        def keras_loop() -> tuple[Any, list[Any]]:
            return self._run_in_keras(sequences, states, mask, training)

        if mask is None:
            return keras_loop()
        # Read from the end, padding on the right comes first.
        padded = tf.reverse(mask, [1]) if self.go_backwards else mask
        return tf.cond(_is_right_padded(padded), keras_loop, our_loop)

    def _run_in_keras(
        self, sequences: Any, states: list[Any], mask: Any, training: bool
    ) -> tuple[Any, list[Any]]:
        """Run the loop of Keras, on cuDNN if there is a GPU.

        A mask has its False on the right, or with `go_backwards` on the left.
        """
        cell = self.cell
        dropout = cell.input_mask(
            tf.shape(sequences)[0], sequences.shape[-1], training
        )
        if dropout is not None:
            sequences = sequences * dropout[:, tf.newaxis]
        layer = self._keras_layer
        for name in ("kernel", "recurrent_kernel", "bias"):
            setattr(layer.cell, name, getattr(cell, name))
        layer.built = layer.cell.built = True
        if mask is None:
            output, *states = layer(sequences, initial_state=states)
            return output, states
        mask = tf.cast(mask, tf.bool)
        lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)

        def swap_ends(x: Any) -> Any:
            return tf.reverse_sequence(tf.reverse(x, [1]), lengths, seq_axis=1)

        padded = mask
        if self.go_backwards:
            sequences, padded = swap_ends(sequences), tf.reverse(mask, [1])
        output, *states = layer(sequences, initial_state=states, mask=padded)
        # At masked time steps cuDNN puts out zeros.
        if self.return_sequences and self.go_backwards:
            output = tf.reverse(
                tf.reverse_sequence(output, lengths, seq_axis=1), [1]
            )
            output = tf.where(mask[..., tf.newaxis], output, 0)
        elif self.zero_output_for_mask:
            live = mask if self.return_sequences else mask[:, -1]
            output = tf.where(live[..., tf.newaxis], output, 0)
        elif self.return_sequences:
            last = states[0][:, tf.newaxis]
            output = tf.where(mask[..., tf.newaxis], output, last)
        return output, states


def _has_gpu() -> bool:
    return bool(tf.config.list_logical_devices("GPU"))


def _is_right_padded(mask: Any) -> Any:
    """Whether all rows of a mask (B, T) are True first, then False."""
    mask = tf.cast(mask, tf.bool)
    return tf.reduce_all(mask[:, :-1] | ~mask[:, 1:]) & tf.reduce_all(
        mask[:, :1]
    )
