"""The simple recurrent cell with layer normalization."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_recurrent.layers.cells.layer_norm import layer_norm
from keras_recurrent.layers.cells.recurrent_cell import (
    Dot,
    Gate,
    plain_dot,
    plain_gate,
)
from keras_recurrent.layers.cells.simple_rnn_cell import SimpleRNNCell
from keras_recurrent.layers.ops.product import product


@keras.saving.register_keras_serializable(package="keras_recurrent")
class LayerNormSimpleRNNCell(SimpleRNNCell):
    """Simple recurrent cell with layer normalization.

        h_t = tanh(N(W·x_t + U·h_{t-1}) + b)

    where N is a `layer_norm` with a scale γ and no shift: the bias shifts
    after it. Arguments and numbers are those of
    `tfa.rnn.LayerNormSimpleRNNCell`; weights as in `SimpleRNNCell` and `gamma`
    (U,).

    Args:
        units: Positive integer, size of the state and of the output.
        activation: Activation of the state.
        use_bias: Whether the cell has a bias.
        layernorm_epsilon: ε of the normalization.
        gamma_initializer, gamma_regularizer, gamma_constraint: For γ.
        **kwargs: The other arguments of `SimpleRNNCell`.

    Call arguments:
        inputs: (B, D).
        states: [h], (B, U).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states [h_t].

    Reference:
        Ba et al. (2016), arXiv:1607.06450, equation 4.

    Example:

    >>> cell = LayerNormSimpleRNNCell(3)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 3])
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        layernorm_epsilon: float = 1e-5,
        gamma_initializer: Any = "ones",
        gamma_regularizer: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, activation, use_bias, **kwargs)
        self.layernorm_epsilon = layernorm_epsilon
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.gamma_regularizer = keras.regularizers.get(gamma_regularizer)
        self.gamma_constraint = keras.constraints.get(gamma_constraint)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.gamma = self.add_weight(
            shape=(self.units,),
            name="gamma",
            initializer=self.gamma_initializer,
            regularizer=self.gamma_regularizer,
            constraint=self.gamma_constraint,
        )

    def project(self, inputs: Any) -> Any:
        # The bias comes after the normalization, so it waits for the step.
        return product(inputs, self.kernel)

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        (h,) = states
        h = layer_norm(
            projected + dot(h, self.recurrent_kernel),
            self.gamma,
            epsilon=self.layernorm_epsilon,
        )
        h = gate(
            "state", self.activation, h + self.bias if self.use_bias else h
        )
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "layernorm_epsilon": self.layernorm_epsilon,
            "gamma_initializer": keras.initializers.serialize(
                self.gamma_initializer
            ),
            "gamma_regularizer": keras.regularizers.serialize(
                self.gamma_regularizer
            ),
            "gamma_constraint": keras.constraints.serialize(
                self.gamma_constraint
            ),
        }
