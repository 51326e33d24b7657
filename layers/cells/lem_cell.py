"""The long expressive memory cell."""

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
class LEMCell(RecurrentCell):
    """Long expressive memory cell.

        Δ_t  = Δt σ(W_1·x_t + U_1·y_{t-1} + b_1)         time step of z
        Δ'_t = Δt σ(W_2·x_t + U_2·y_{t-1} + b_2)         time step of y
        z'_t = tanh(W_z·x_t + U_z·y_{t-1} + b_z)
        z_t  = (1 − Δ_t) ∗ z_{t-1} + Δ_t ∗ z'_t          slow state
        y'_t = tanh(W_y·x_t + U_y·z_t + b_y)
        y_t  = (1 − Δ'_t) ∗ y_{t-1} + Δ'_t ∗ y'_t        output

    where tanh is `activation`. It solves a system of differential equations
    with as many time scales as units, learned from the data; its gradient is
    bounded over very long sequences. `kernel` is (D, 4U) and `bias` (4U,), in
    the order 1, 2, z, y; `recurrent_kernel` (U, 3U) is for y_{t-1}, in the
    order 1, 2, z, and `slow_kernel` (U, U) for z_t.

    Args:
        units: Positive integer, size of each state and of the output.
        activation: Activation of z' and y'.
        use_bias: Whether the cell has a bias.
        time_step: Δt, the longest time step, 0 < Δt <= 1. Smaller ones are for
            longer sequences.
        **kwargs: The other arguments of `RecurrentCell`.

    Call arguments:
        inputs: (B, D).
        states: [y, z], each (B, U).
        training: Whether to apply dropout.

    Returns:
        The output y_t (B, U) and the new states [y_t, z_t].

    Raises:
        ValueError: `time_step` is not in (0, 1].

    Reference:
        Rusch et al. (2021), arXiv:2110.04744.

    Example:

    >>> cell = LEMCell(3)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 3])
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        time_step: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, use_bias=use_bias, **kwargs)
        if not 0 < time_step <= 1:
            raise ValueError(
                "`time_step` must be in (0, 1]. Received: "
                f"time_step={time_step}"
            )
        self.activation = keras.activations.get(activation)
        self.time_step = time_step

    @property
    def state_size(self) -> list[int]:
        return [self.units, self.units]

    def build(self, input_shape: Any) -> None:
        # gates: 1, 2, z, y
        self.kernel = self.add_kernel(input_shape[-1], 4)
        self.recurrent_kernel = self.add_recurrent_kernel(3)
        self.slow_kernel = self.add_weight(
            shape=(self.units, self.units),
            name="slow_kernel",
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias = self.add_bias((4 * self.units,))

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        y, z = states
        *sums, new_y = tf.split(projected, 4, axis=-1)
        recurrent = tf.split(dot(y, self.recurrent_kernel), 3, axis=-1)
        step_z, step_y, new_z = (
            a + b for a, b in zip(sums, recurrent, strict=True)
        )
        sigmoid = keras.activations.sigmoid
        step_z = self.time_step * gate("slow time step", sigmoid, step_z)
        step_y = self.time_step * gate("time step", sigmoid, step_y)
        new_z = gate("slow candidate", self.activation, new_z)
        z = (1 - step_z) * z + step_z * new_z
        new_y = new_y + dot(z, self.slow_kernel)
        new_y = gate("candidate", self.activation, new_y)
        y = (1 - step_y) * y + step_y * new_y
        return y, [y, z]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "activation": keras.activations.serialize(self.activation),
            "time_step": self.time_step,
        }
