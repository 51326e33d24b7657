"""The LSTM whose gates look at the cell state."""

from typing import Any

import keras

from keras_recurrent.layers.cells.lstm_cell import LSTMCell


@keras.saving.register_keras_serializable(package="keras_recurrent")
class PeepholeLSTMCell(LSTMCell):
    """LSTM cell with peephole connections.

        f_t  = σ(W_f·[h_{t-1}, x_t] + p_f ∗ C_{t-1} + b_f)    forget gate
        i_t  = σ(W_i·[h_{t-1}, x_t] + p_i ∗ C_{t-1} + b_i)    input gate
        C'_t = tanh(W_C·[h_{t-1}, x_t] + b_C)                 candidate
        C_t  = f_t ∗ C_{t-1} + i_t ∗ C'_t                     cell state
        o_t  = σ(W_o·[h_{t-1}, x_t] + p_o ∗ C_t + b_o)        output gate
        h_t  = o_t ∗ tanh(C_t)                                output

    The gates see the cell state itself and not only what the output gate lets
    through, which helps to learn precise timing. It is `LSTMCell` with
    `peepholes=True`, under the name and with the arguments and numbers of
    `tfa.rnn.PeepholeLSTMCell`; weights as in `LSTMCell` and three
    vectors (U,): `input_gate_peephole_weights`, `forget_gate_…` and
    `output_gate_…`.

    Args:
        units: Positive integer, size of the output and of the cell state.
        **kwargs: The other arguments of `LSTMCell`.

    Call arguments:
        inputs: (B, D).
        states: [h, C], each (B, U).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states [h_t, C_t].

    Reference:
        Gers et al. (2002), Learning Precise Timing with LSTM Recurrent
        Networks.

    Example:

    >>> cell = PeepholeLSTMCell(3)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 3])
    """

    def __init__(self, units: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(units, *args, peepholes=True, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["peepholes"]
        return config
