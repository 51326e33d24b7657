"""The minimal gated unit."""

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
class MGUCell(RecurrentCell):
    """Minimal gated unit: a GRU with one gate for both of its tasks.

        f_t  = σ(W_f·x_t + U_f·h_{t-1} + b_f)              forget gate
        h'_t = tanh(W_h·x_t + U_h·(f_t ∗ h_{t-1}) + b_h)   candidate
        h_t  = (1 − f_t) ∗ h_{t-1} + f_t ∗ h'_t            output

    where tanh is `activation`. Two thirds of a GRU's weights do nearly as
    well. Mind that f_t = 1 lets go of the past. `kernel` is (D, 2U),
    `recurrent_kernel` (U, 2U), `bias` (2U,), in the order f, h.

    Args:
        units: Positive integer, size of the state and of the output.
        activation: Activation of the candidate.
        use_bias: Whether the cell has a bias.
        **kwargs: The other arguments of `RecurrentCell`.

    Call arguments:
        inputs: (B, D).
        states: [h], (B, U).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states [h_t].

    Reference:
        Zhou et al. (2016), arXiv:1603.09420.

    Example:

    >>> cell = MGUCell(3)
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
        # gates: f, h
        self.kernel = self.add_kernel(input_shape[-1], 2)
        self.recurrent_kernel = self.add_recurrent_kernel(2)
        self.bias = self.add_bias((2 * self.units,))

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        (h,) = states
        kernel, units = self.recurrent_kernel, self.units
        f, candidate = tf.split(projected, 2, axis=-1)
        f = f + dot(h, kernel, slice(units))
        f = gate("forget", keras.activations.sigmoid, f)
        candidate = candidate + dot(f * h, kernel, slice(units, None))
        candidate = gate("candidate", self.activation, candidate)
        h = (1 - f) * h + f * candidate
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "activation": keras.activations.serialize(self.activation)
        }
