"""The long short-term memory layer."""

from typing import Any

import keras

from keras_recurrent.layers.cells.lstm_cell import LSTMCell
from keras_recurrent.layers.cudnn_rnn import CudnnRNN


@keras.saving.register_keras_serializable(package="keras_recurrent")
class LSTM(CudnnRNN):
    """Long short-term memory over a batch of sequences.

    Arguments, weights and numbers are those of `keras.layers.LSTM`.
    The equations are in `LSTMCell`, and so are further options, such as
    `peepholes` and `projection`.

    Args:
        units: Positive integer, size of the cell state, and of the output if
            there is no projection.
        activation: Activation of the candidate and of the cell state.
        recurrent_activation: Activation of the gates.
        use_bias: Whether the cell has a bias.
        **kwargs: The other arguments of `LSTMCell`, those of `RNN`, and
            `use_cudnn`, see `CudnnRNN`.

    Call arguments:
        sequences: (B, T, D).
        initial_state: [h, C], each (B, U), zeros by default; with a
            projection to size P, h is (B, P), and so is the output.
        mask: (B, T), boolean, True at the time steps that count.
        training: Whether to apply dropout.

    Returns:
        The last output (B, U), or all of them (B, T, U) with
        `return_sequences`; with `return_state`, followed by the final states.

    Example:

    >>> import tensorflow as tf
    >>> layer = LSTM(4, return_sequences=True)
    >>> layer(tf.ones((2, 7, 3))).shape
    TensorShape([2, 7, 4])
    """

    cell_class = LSTMCell
    keras_class = keras.layers.LSTM

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            **kwargs,
        )

    def suits_cudnn(self) -> bool:
        return super().suits_cudnn() and not self.cell.has_options
