"""The simple recurrent layer."""

from typing import Any

import keras

from keras_recurrent.layers.cell_rnn import CellRNN
from keras_recurrent.layers.cells.simple_rnn_cell import SimpleRNNCell


@keras.saving.register_keras_serializable(package="keras_recurrent")
class SimpleRNN(CellRNN):
    """Simple recurrent network over a batch of sequences.

    Arguments, weights and numbers are those of `keras.layers.SimpleRNN`.
    The equations are in `SimpleRNNCell`.

    Args:
        units: Positive integer, size of the output.
        activation: Activation of the state.
        use_bias: Whether the cell has a bias.
        **kwargs: The other arguments of `SimpleRNNCell` and those of `RNN`.

    Call arguments:
        sequences: (B, T, D).
        initial_state: [h], (B, U); zeros by default.
        mask: (B, T), boolean, True at the time steps that count.
        training: Whether to apply dropout.

    Returns:
        The last output (B, U), or all of them (B, T, U) with
        `return_sequences`; with `return_state`, followed by the final states.

    Example:

    >>> import tensorflow as tf
    >>> layer = SimpleRNN(4, return_sequences=True)
    >>> layer(tf.ones((2, 7, 3))).shape
    TensorShape([2, 7, 4])
    """

    cell_class = SimpleRNNCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation=activation,
            use_bias=use_bias,
            **kwargs,
        )
