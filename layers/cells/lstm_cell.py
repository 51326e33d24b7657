"""The long short-term memory cell."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.cells.recurrent_cell import (
    Dot,
    Gate,
    RecurrentCell,
    plain_dot,
    plain_gate,
)
from keras_recurrent.layers.product import product


@keras.saving.register_keras_serializable(package="keras_recurrent")
class LSTMCell(RecurrentCell):
    """Long short-term memory cell.

        f_t  = σ(W_f·[h_{t-1}, x_t] + b_f)       forget gate
        i_t  = σ(W_i·[h_{t-1}, x_t] + b_i)       input gate
        o_t  = σ(W_o·[h_{t-1}, x_t] + b_o)       output gate
        C'_t = tanh(W_C·[h_{t-1}, x_t] + b_C)    candidate
        C_t  = f_t ∗ C_{t-1} + i_t ∗ C'_t        cell state
        h_t  = o_t ∗ tanh(C_t)                   output

    where [·, ·] joins two vectors, · is a matrix product, ∗ multiplies element
    by element, σ is `recurrent_activation` and tanh is `activation`.

    Weights are laid out as in `keras.layers.LSTMCell`: each W is kept as its
    rows for x_t, in `kernel` (D, 4U), and its rows for h_{t-1}, in
    `recurrent_kernel` (U, 4U); `bias` is (4U,). Gates stand in the order
    i, f, C', o.

    Args:
        units: Positive integer, size of the output and of the cell state.
        activation: Activation of the candidate and of the cell state.
        recurrent_activation: Activation of the gates.
        use_bias: Whether the cell has a bias.
        unit_forget_bias: Whether b_f starts at 1, so that the cell begins by
            remembering (Jozefowicz et al. 2015).
        **kwargs: The other arguments of `RecurrentCell`.

    Call arguments:
        inputs: (B, D).
        states: [h, C], each (B, U).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states [h_t, C_t].

    References:
        Hochreiter & Schmidhuber (1997), Long Short-Term Memory.
        Gers et al. (2000), Learning to Forget.

    Example:

    >>> cell = LSTMCell(3)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> [state.shape.as_list() for state in states]
    [[2, 3], [2, 3]]
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        unit_forget_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, use_bias=use_bias, **kwargs)
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    @property
    def state_size(self) -> list[int]:
        return [self.units, self.units]

    def build(self, input_shape: Any) -> None:
        # gates: i, f, C', o
        self.kernel = self.add_kernel(input_shape[-1], 4)
        self.recurrent_kernel = self.add_recurrent_kernel(4)
        self.bias = self.add_bias((4 * self.units,), self._initial_bias)

    def project(self, inputs: Any) -> Any:
        return product(inputs, self.kernel, self.bias)

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
        i = gate("input", self.recurrent_activation, i)
        f = gate("forget", self.recurrent_activation, f)
        o = gate("output", self.recurrent_activation, o)
        c = f * c + i * gate("candidate", self.activation, candidate)
        h = o * self.activation(c)
        return h, [h, c]

    def get_config(self) -> dict[str, Any]:
        activation = keras.activations.serialize
        return super().get_config() | {
            "activation": activation(self.activation),
            "recurrent_activation": activation(self.recurrent_activation),
            "unit_forget_bias": self.unit_forget_bias,
        }

    def _initial_bias(self, shape: Any, dtype: Any = None) -> Any:
        bias = self.bias_initializer(shape, dtype=dtype)
        if not self.unit_forget_bias:
            return bias
        i, _, candidate_and_o = tf.split(
            bias, [self.units, self.units, 2 * self.units]
        )
        return tf.concat(
            [i, tf.ones((self.units,), dtype), candidate_and_o], axis=0
        )
