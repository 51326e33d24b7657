"""The recurrent cell with bistable memory."""

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
class NBRCCell(RecurrentCell):
    """Neuromodulated bistable recurrent cell.

        c_t  = σ(W_c·x_t + U_c·h_{t-1} + b_c)             update gate
        a_t  = 1 + tanh(W_a·x_t + U_a·h_{t-1} + b_a)      feedback
        h'_t = tanh(W_h·x_t + a_t ∗ h_{t-1} + b_h)        candidate
        h_t  = c_t ∗ h_{t-1} + (1 − c_t) ∗ h'_t           output

    The candidate of a unit sees the unit itself only. Where its feedback is
    above 1 the unit has two stable states of its own, in one of which it stays
    for as long as the inputs are small: it remembers without a time limit,
    whatever its update gate does. `kernel` is (D, 3U) and `bias` (3U,), in the
    order c, a, h; `recurrent_kernel` is (U, 2U), in the order c, a.

    Args:
        units: Positive integer, size of the state and of the output.
        **kwargs: The other arguments of `RecurrentCell`.

    Call arguments:
        inputs: (B, D).
        states: [h], (B, U).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states [h_t].

    Reference:
        Vecoven et al. (2020), arXiv:2006.05252.

    Example:

    >>> cell = NBRCCell(3)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 3])
    """

    @property
    def state_size(self) -> int:
        return self.units

    def build(self, input_shape: Any) -> None:
        # gates: c, a, h
        self.kernel = self.add_kernel(input_shape[-1], 3)
        self.recurrent_kernel = self.add_recurrent_kernel(2)
        self.bias = self.add_bias((3 * self.units,))

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        (h,) = states
        x_c, x_a, candidate = tf.split(projected, 3, axis=-1)
        u_c, u_a = tf.split(dot(h, self.recurrent_kernel), 2, axis=-1)
        c = gate("update", keras.activations.sigmoid, x_c + u_c)
        a = 1 + gate("feedback", keras.activations.tanh, x_a + u_a)
        candidate = candidate + a * h
        candidate = gate("candidate", keras.activations.tanh, candidate)
        h = c * h + (1 - c) * candidate
        return h, [h]
