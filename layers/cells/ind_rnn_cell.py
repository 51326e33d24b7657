"""The simple recurrent cell whose units do not see each other."""

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
class IndRNNCell(RecurrentCell):
    """Independently recurrent cell.

        h_t = relu(W·x_t + u ∗ h_{t-1} + b),   |u| ≤ u_max

    where relu is `activation`. Each unit sees its own past only, so its
    gradient over time is a power of one number that can be bounded: over T
    steps it stays below γ with u_max = γ^(1/T). Deep stacks of it reach over
    thousands of steps. `kernel` is (D, U), `recurrent_kernel` (U,), `bias`
    (U,).

    Args:
        units: Positive integer, size of the state and of the output.
        activation: Activation of the state.
        use_bias: Whether the cell has a bias.
        recurrent_initializer: For u; uniform in [0, 1] by default.
        recurrent_clip: u_max, applied at each step; None for no bound.
        **kwargs: The other arguments of `RecurrentCell`, except for
            `recurrent_dropout`: there is no recurrent product to drop from.

    Call arguments:
        inputs: (B, D).
        states: [h], (B, U).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states [h_t].

    Raises:
        ValueError: `recurrent_dropout` is given.

    Reference:
        Li et al. (2018), arXiv:1803.04831, equations 2 and 6.

    Example:

    >>> cell = IndRNNCell(3, recurrent_clip=1.0)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 3])
    """

    def __init__(
        self,
        units: int,
        activation: Any = "relu",
        use_bias: bool = True,
        recurrent_initializer: Any = None,
        recurrent_clip: float | None = None,
        **kwargs: Any,
    ) -> None:
        if recurrent_initializer is None:
            recurrent_initializer = keras.initializers.RandomUniform(0.0, 1.0)
        super().__init__(
            units,
            use_bias=use_bias,
            recurrent_initializer=recurrent_initializer,
            **kwargs,
        )
        if self.recurrent_dropout:
            raise ValueError(
                "`IndRNNCell` has no recurrent product to drop from. "
                f"Received: recurrent_dropout={self.recurrent_dropout}"
            )
        self.activation = keras.activations.get(activation)
        self.recurrent_clip = recurrent_clip

    @property
    def state_size(self) -> int:
        return self.units

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_kernel(input_shape[-1], 1)
        self.recurrent_kernel = self.add_weight(
            shape=(self.units,),
            name="recurrent_kernel",
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias = self.add_bias((self.units,))

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        (h,) = states
        u = tf.convert_to_tensor(self.recurrent_kernel)
        if self.recurrent_clip is not None:
            u = tf.clip_by_value(u, -self.recurrent_clip, self.recurrent_clip)
        h = gate("state", self.activation, projected + u * h)
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "activation": keras.activations.serialize(self.activation),
            "recurrent_clip": self.recurrent_clip,
        }
