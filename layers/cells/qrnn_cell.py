"""The quasi-recurrent cell."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.cells.linear_cell import LinearCell, in_full
from keras_recurrent.layers.cells.recurrent_cell import (
    Dot,
    Gate,
    plain_dot,
    plain_gate,
)
from keras_recurrent.layers.ops.linear_scan import before, last_of, linear_scan
from keras_recurrent.layers.ops.product import product


@keras.saving.register_keras_serializable(package="keras_recurrent")
class QRNNCell(LinearCell):
    """Quasi-recurrent cell: a convolution over time, then pooling.

        z_t = tanh(Σ_j W_z^j·x_{t-j} + b_z)        candidate
        f_t = σ(Σ_j W_f^j·x_{t-j} + b_f)           forget gate
        o_t = σ(Σ_j W_o^j·x_{t-j} + b_o)           output gate
        c_t = f_t ∗ c_{t-1} + (1 − f_t) ∗ z_t      state
        h_t = o_t ∗ c_t                            output

    where the sums go over the last `window` inputs, j = 0 … k − 1, and tanh is
    `activation`. This is fo-pooling; trained in parallel over time. Masked
    inputs are left out: the window reaches over them.

    `kernel` is (k, D, 3U), the earliest input first, as in
    `keras.layers.Conv1D`; `bias` is (3U,); the order is z, f, o. Besides c the
    cell carries, for each j = 1 … k − 1, what the sums of the next time steps
    already contain, Σ_{i≥j} W^i·x_{t+j-i} (B, 3U).

    Args:
        units: Positive integer, size of the state and of the output.
        window: Positive integer k, how many inputs the gates see.
        activation: Activation of the candidate.
        **kwargs: The other arguments of `LinearCell`.

    Call arguments:
        inputs: (B, D).
        states: [c, …], (B, U) and k − 1 of (B, 3U).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states.

    Raises:
        ValueError: `window` is not a positive integer.

    Reference:
        Bradbury et al. (2017), arXiv:1611.01576, equations 1 to 4.

    Example:

    >>> cell = QRNNCell(3)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> [state.shape.as_list() for state in states]
    [[2, 3], [2, 9]]
    """

    def __init__(
        self,
        units: int,
        window: int = 2,
        activation: Any = "tanh",
        **kwargs: Any,
    ) -> None:
        super().__init__(units, **kwargs)
        if not isinstance(window, int) or window <= 0:
            raise ValueError(
                f"`window` must be a positive integer. Received: "
                f"window={window}"
            )
        self.window = window
        self.activation = keras.activations.get(activation)

    @property
    def state_size(self) -> list[int]:
        return [self.units] + [3 * self.units] * (self.window - 1)

    def build(self, input_shape: Any) -> None:
        # gates: z, f, o
        self.kernel = self.add_weight(
            shape=(self.window, input_shape[-1], 3 * self.units),
            name="kernel",
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = self.add_bias((3 * self.units,))

    def project(self, inputs: Any) -> Any:
        # By j, the present input first.
        kernels = tf.unstack(tf.convert_to_tensor(self.kernel))[::-1]
        present = product(inputs, kernels[0], self.bias)
        return [present, *(product(inputs, kernel) for kernel in kernels[1:])]

    def coefficients(
        self, projected: Any, gate: Gate = plain_gate
    ) -> tuple[Any, Any]:
        z, f, _ = tf.split(projected, 3, axis=-1)
        f = gate("forget", keras.activations.sigmoid, f)
        return f, (1 - f) * gate("candidate", self.activation, z)

    def read_out(
        self,
        h: Any,
        projected: Any,
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> Any:
        _, _, o = tf.split(projected, 3, axis=-1)
        return gate("output", keras.activations.sigmoid, o) * h

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        (present, *past), (_, *sums) = in_full(projected), in_full(states)
        if sums:
            present = present + sums[0]
            past = [
                *(x + s for x, s in zip(past, sums[1:], strict=False)),
                past[-1],
            ]
        output, new_states = super().step(present, states[:1], dot, gate)
        sums = [
            tf.cast(x, s.dtype) for x, s in zip(past, states[1:], strict=True)
        ]
        return output, [*new_states, *sums]

    def scan(
        self, projected: Any, states: Sequence[Any], mask: Any = None
    ) -> tuple[Any, list[Any]]:
        (present, *past), (c, *sums) = in_full(projected), in_full(states)
        final: list[Any] = []
        earlier: Any = 0.0
        for x, first in zip(past[::-1], sums[::-1], strict=True):
            x = x + earlier
            if mask is not None:
                # Nothing but the mask keeps what was there.
                x = linear_scan(tf.zeros_like(x), x, first, mask)
            final.insert(0, last_of(x, first))
            earlier = before(x, first)
        present = present + earlier
        outputs, new_states = super().scan(present, [c], mask)
        return outputs, [*new_states, *final]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "window": self.window,
            "activation": keras.activations.serialize(self.activation),
        }
