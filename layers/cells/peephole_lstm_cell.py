"""The LSTM whose gates look at the cell state."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.cells.lstm_cell import LSTMCell
from keras_recurrent.layers.cells.recurrent_cell import (
    Dot,
    Gate,
    plain_dot,
    plain_gate,
)


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
    through, which helps to learn precise timing. Arguments and numbers are
    those of `tfa.rnn.PeepholeLSTMCell`; weights as in `LSTMCell` and three
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

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.input_peephole, self.forget_peephole, self.output_peephole = (
            self.add_weight(
                shape=(self.units,),
                name=f"{gate}_gate_peephole_weights",
                initializer=self.kernel_initializer,
            )
            for gate in ("input", "forget", "output")
        )

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        h, c = states
        gates = projected + dot(h, self.recurrent_kernel)  # (B, 4U)
        i, f, candidate, o = tf.split(gates, 4, axis=-1)
        sigmoid = self.recurrent_activation
        i = gate("input", sigmoid, i + self.input_peephole * c)
        f = gate("forget", sigmoid, f + self.forget_peephole * c)
        c = f * c + i * gate("candidate", self.activation, candidate)
        o = gate("output", sigmoid, o + self.output_peephole * c)
        h = o * self.activation(c)
        return h, [h, c]
