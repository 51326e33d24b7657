"""The GRU with layer normalization."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.cells.layer_norm import layer_norm
from keras_recurrent.layers.cells.recurrent_cell import (
    Dot,
    Gate,
    RecurrentCell,
    plain_dot,
    plain_gate,
)
from keras_recurrent.layers.ops.product import product


@keras.saving.register_keras_serializable(package="keras_recurrent")
class LayerNormGRUCell(RecurrentCell):
    """GRU cell with layer normalization.

        a_t  = N(W·x_t) + b                                  from the input
        u_t  = N(U·h_{t-1})                                  from the state
        r_t  = σ(a_r + u_r),  z_t = σ(a_z + u_z)             the two gates
        h'_t = tanh(a_h + r_t ∗ u_h)                         candidate
        h_t  = z_t ∗ h_{t-1} + (1 − z_t) ∗ h'_t              output

    where each N is a `layer_norm` with a scale and a shift of its own; the
    update gate points as in `GRUCell`. `kernel` (D, 3U) and
    `recurrent_kernel` (U, 3U) have their gates in the order z, r, h; `bias` is
    (3U,); scales and shifts are (3U,).

    Args:
        units: Positive integer, size of the state and of the output.
        activation: Activation of the candidate.
        recurrent_activation: Activation of the gates.
        use_bias: Whether the cell has a bias.
        norm_epsilon: ε of the normalization.
        **kwargs: The other arguments of `RecurrentCell`.

    Call arguments:
        inputs: (B, D).
        states: [h], (B, U).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states [h_t].

    Reference:
        Ba et al. (2016), arXiv:1607.06450, supplementary material.

    Example:

    >>> cell = LayerNormGRUCell(3)
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
        norm_epsilon: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, use_bias=use_bias, **kwargs)
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.norm_epsilon = norm_epsilon

    @property
    def state_size(self) -> int:
        return self.units

    def build(self, input_shape: Any) -> None:
        # gates: z, r, h
        self.kernel = self.add_kernel(input_shape[-1], 3)
        self.recurrent_kernel = self.add_recurrent_kernel(3)
        self.bias = self.add_bias((3 * self.units,))
        self.kernel_gamma, self.recurrent_gamma = (
            self.add_weight(
                shape=(3 * self.units,), name=name, initializer="ones"
            )
            for name in ("kernel_norm_gamma", "recurrent_norm_gamma")
        )
        self.kernel_beta, self.recurrent_beta = (
            self.add_weight(
                shape=(3 * self.units,), name=name, initializer="zeros"
            )
            for name in ("kernel_norm_beta", "recurrent_norm_beta")
        )

    def project(self, inputs: Any) -> Any:
        projected = layer_norm(
            product(inputs, self.kernel),
            self.kernel_gamma,
            self.kernel_beta,
            self.norm_epsilon,
        )
        return projected + self.bias if self.use_bias else projected

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        (h,) = states
        recurrent = layer_norm(
            dot(h, self.recurrent_kernel),
            self.recurrent_gamma,
            self.recurrent_beta,
            self.norm_epsilon,
        )
        x_z, x_r, x_h = tf.split(projected, 3, axis=-1)
        u_z, u_r, u_h = tf.split(recurrent, 3, axis=-1)
        r = gate("reset", self.recurrent_activation, x_r + u_r)
        z = gate("update", self.recurrent_activation, x_z + u_z)
        candidate = gate("candidate", self.activation, x_h + r * u_h)
        h = z * h + (1 - z) * candidate
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        activation = keras.activations.serialize
        return super().get_config() | {
            "activation": activation(self.activation),
            "recurrent_activation": activation(self.recurrent_activation),
            "norm_epsilon": self.norm_epsilon,
        }
