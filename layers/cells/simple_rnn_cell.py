"""The simple recurrent cell of Elman."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_recurrent.layers.cells.recurrent_cell import (
    Dot,
    Gate,
    RecurrentCell,
    plain_dot,
    plain_gate,
)


@keras.saving.register_keras_serializable(package="keras_recurrent")
class SimpleRNNCell(RecurrentCell):
    """Simple recurrent cell.

        h_t = tanh(W·x_t + U·h_{t-1} + b)

    where tanh is `activation`. Weights are laid out as in
    `keras.layers.SimpleRNNCell`: `kernel` (D, U), `recurrent_kernel` (U, U),
    `bias` (U,).

    Args:
        units: Positive integer, size of the state and of the output.
        activation: Activation of the state.
        use_bias: Whether the cell has a bias.
        **kwargs: The other arguments of `RecurrentCell`.

    Call arguments:
        inputs: (B, D).
        states: [h], (B, U).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states [h_t].

    Reference:
        Elman (1990), Finding Structure in Time.

    Example:

    >>> cell = SimpleRNNCell(3)
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
        self.kernel = self.add_kernel(input_shape[-1], 1)
        self.recurrent_kernel = self.add_recurrent_kernel(1)
        self.bias = self.add_bias((self.units,))

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        (h,) = states
        h = projected + dot(h, self.recurrent_kernel)
        h = gate("state", self.activation, h)
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "activation": keras.activations.serialize(self.activation)
        }
