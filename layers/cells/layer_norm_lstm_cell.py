"""The LSTM with layer normalization."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.cells.layer_norm import layer_norm
from keras_recurrent.layers.cells.lstm_cell import LSTMCell
from keras_recurrent.layers.cells.recurrent_cell import (
    Dot,
    Gate,
    plain_dot,
    plain_gate,
)
from keras_recurrent.layers.ops.product import product


@keras.saving.register_keras_serializable(package="keras_recurrent")
class LayerNormLSTMCell(LSTMCell):
    """LSTM cell with layer normalization.

        a_t  = N(W·x_t) + N(U·h_{t-1}) + b               all four gates
        f_t, i_t, o_t = σ(a_f), σ(a_i), σ(a_o)
        C_t  = N(f_t ∗ C_{t-1} + i_t ∗ tanh(a_C))        cell state
        h_t  = o_t ∗ tanh(C_t)                           output

    where each N is a `layer_norm` with a scale and a shift of its own. Training
    is less sensitive to the scale of weights and inputs, and statistics do not
    depend on the batch or on the time step. Arguments and numbers are those of
    `tfa.rnn.LayerNormLSTMCell`; weights as in `LSTMCell` and three pairs
    `kernel_norm` (4U,), `recurrent_norm` (4U,), `state_norm` (U,).

    Args:
        units: Positive integer, size of the output and of the cell state.
        activation: Activation of the candidate and of the cell state.
        recurrent_activation: Activation of the gates.
        use_bias: Whether the cell has a bias.
        norm_gamma_initializer: For the scales.
        norm_beta_initializer: For the shifts.
        norm_epsilon: ε of the normalization.
        **kwargs: The other arguments of `LSTMCell`, except for those that
            change the equations.

    Call arguments:
        inputs: (B, D).
        states: [h, C], each (B, U); C is normalized.
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states [h_t, C_t].

    Raises:
        ValueError: an option changes the equations of the LSTM.

    Reference:
        Ba et al. (2016), arXiv:1607.06450.

    Example:

    >>> cell = LayerNormLSTMCell(3)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 3])
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        *,
        norm_gamma_initializer: Any = "ones",
        norm_beta_initializer: Any = "zeros",
        norm_epsilon: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units, activation, recurrent_activation, use_bias, **kwargs
        )
        if self.has_options:
            raise ValueError(
                "`LayerNormLSTMCell` has no options that change its "
                f"equations. Received: {kwargs}"
            )
        self.norm_gamma_initializer = keras.initializers.get(
            norm_gamma_initializer
        )
        self.norm_beta_initializer = keras.initializers.get(
            norm_beta_initializer
        )
        self.norm_epsilon = norm_epsilon

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.kernel_norm = self._add_norm("kernel_norm", 4 * self.units)
        self.recurrent_norm = self._add_norm("recurrent_norm", 4 * self.units)
        self.state_norm = self._add_norm("state_norm", self.units)

    def project(self, inputs: Any) -> Any:
        projected = self._norm(product(inputs, self.kernel), self.kernel_norm)
        return projected + self.bias if self.use_bias else projected

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        h, c = states
        gates = projected + self._norm(
            dot(h, self.recurrent_kernel), self.recurrent_norm
        )
        i, f, candidate, o = tf.split(gates, 4, axis=-1)
        i = gate("input", self.recurrent_activation, i)
        f = gate("forget", self.recurrent_activation, f)
        o = gate("output", self.recurrent_activation, o)
        candidate = gate("candidate", self.activation, candidate)
        c = self._norm(f * c + i * candidate, self.state_norm)
        h = o * self.activation(c)
        return h, [h, c]

    def get_config(self) -> dict[str, Any]:
        serialize = keras.initializers.serialize
        return super().get_config() | {
            "norm_gamma_initializer": serialize(self.norm_gamma_initializer),
            "norm_beta_initializer": serialize(self.norm_beta_initializer),
            "norm_epsilon": self.norm_epsilon,
        }

    def _add_norm(self, name: str, size: int) -> tuple[Any, Any]:
        return (
            self.add_weight(
                shape=(size,),
                name=f"{name}_gamma",
                initializer=self.norm_gamma_initializer,
            ),
            self.add_weight(
                shape=(size,),
                name=f"{name}_beta",
                initializer=self.norm_beta_initializer,
            ),
        )

    def _norm(self, x: Any, gamma_and_beta: tuple[Any, Any]) -> Any:
        return layer_norm(x, *gamma_and_beta, epsilon=self.norm_epsilon)
