"""The stackable recurrent cell."""

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


@keras.saving.register_keras_serializable(package="keras_recurrent")
class STARCell(RecurrentCell):
    """Stackable recurrent cell.

        k_t = σ(W_k·x_t + U_k·h_{t-1} + b_k)             update gate
        z_t = tanh(W_z·x_t + b_z)                        candidate
        h_t = tanh((1 − k_t) ∗ h_{t-1} + k_t ∗ z_t)      output

    where tanh is `activation`. It was derived so that gradients neither
    vanish nor explode from layer to layer, for stacks of many layers, and has
    fewer than half of an LSTM's weights. `kernel` is (D, 2U) and `bias` (2U,),
    in the order k, z; `recurrent_kernel` is (U, U), for k.

    Args:
        units: Positive integer, size of the state and of the output.
        activation: Activation of the candidate and of the output.
        use_bias: Whether the cell has a bias.
        **kwargs: The other arguments of `RecurrentCell`.

    Call arguments:
        inputs: (B, D).
        states: [h], (B, U).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states [h_t].

    Reference:
        Turkoglu et al. (2019), Gating Revisited, arXiv:1911.11033.

    Example:

    >>> cell = STARCell(3)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 3])
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, use_bias=use_bias, **kwargs)
        self.activation = keras.activations.get(activation)

    @property
    def state_size(self) -> int:
        return self.units

    def build(self, input_shape: Any) -> None:
        # gates: k, z
        self.kernel = self.add_kernel(input_shape[-1], 2)
        self.recurrent_kernel = self.add_recurrent_kernel(1)
        self.bias = self.add_bias((2 * self.units,))

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        (h,) = states
        x_k, z = tf.split(projected, 2, axis=-1)
        k = x_k + dot(h, self.recurrent_kernel)
        k = gate("update", keras.activations.sigmoid, k)
        z = gate("candidate", self.activation, z)
        h = gate("state", self.activation, (1 - k) * h + k * z)
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "activation": keras.activations.serialize(self.activation)
        }
