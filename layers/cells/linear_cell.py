"""What cells share that are linear in their state."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_recurrent.layers.cells.recurrent_cell import (
    Dot,
    Gate,
    RecurrentCell,
    plain_dot,
    plain_gate,
)
from keras_recurrent.layers.ops.linear_scan import last_of, linear_scan
from keras_recurrent.layers.ops.product import product


class LinearCell(RecurrentCell):
    """A cell whose state enters linearly, so that time steps can be joined.

        a_t, b_t = coefficients(projected_t)      no state in it
        h_t      = a_t ∗ h_{t-1} + b_t
        output_t = read_out(h_t, projected_t)

    `step` does this for one time step; `scan` does it for all of them at once,
    with `linear_scan` in place of a loop. Coefficients and states are float32
    also under half precision: over thousands of steps a state adds up terms
    that are too small for a half to take in.

    A subclass defines `build`, `project`, `coefficients` and, where the output
    is not the state, `read_out`.

    Args:
        units: Positive integer, size of the state and of the output.
        **kwargs: The arguments of `RecurrentCell`, except for
            `recurrent_dropout`: there is no recurrent product to drop from.

    Raises:
        ValueError: `recurrent_dropout` is given.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        if self.recurrent_dropout:
            raise ValueError(
                f"`{type(self).__name__}` has no recurrent product to drop "
                f"from. Received: recurrent_dropout={self.recurrent_dropout}"
            )

    @property
    def parallel(self) -> bool:
        return True

    @property
    def state_size(self) -> Any:
        return self.units

    def coefficients(
        self, projected: Any, gate: Gate = plain_gate
    ) -> tuple[Any, Any]:
        """Return a_t and b_t.

        Args:
            projected: (…, P), from `project`, in float32.
            gate: Applies the activation of a gate.

        Returns:
            a and b, each (…, U).
        """
        raise NotImplementedError

    def read_out(
        self,
        h: Any,
        projected: Any,
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> Any:
        """Return the output (…, U) that belongs to the state h (…, U)."""
        return h

    def join(self, states: Sequence[Any]) -> Any:
        """Make h out of the states."""
        (h,) = states
        return h

    def split(self, h: Any) -> list[Any]:
        """Make the states out of h."""
        return [h]

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        projected = in_full(projected)
        a, b = self.coefficients(projected, gate)
        h = a * self.join(in_full(states)) + b
        output = self.read_out(h, projected, dot, gate)
        return tf.cast(output, self.compute_dtype), [
            # `keras.layers.RNN` insists on states of one dtype.
            tf.cast(new, old.dtype)
            for new, old in zip(self.split(h), states, strict=True)
        ]

    def scan(
        self, projected: Any, states: Sequence[Any], mask: Any = None
    ) -> tuple[Any, list[Any]]:
        projected = in_full(projected)
        first = self.join(in_full(states))
        a, b = self.coefficients(projected)
        h = linear_scan(a, b, first, mask)
        outputs = self.read_out(h, projected, _dot)
        if mask is not None and outputs is not h:
            # The state stays by itself where it is masked; what was read out
            # of it must be made to.
            nothing = tf.zeros((tf.shape(first)[0], self.units), outputs.dtype)
            outputs = linear_scan(
                tf.zeros_like(outputs), outputs, nothing, mask
            )
        return (
            tf.cast(outputs, self.compute_dtype),
            self.split(last_of(h, first)),
        )

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        return in_full(super().get_initial_state(batch_size))


def in_full(tensors: Any) -> Any:
    """Cast half precision to float32, in a nested structure."""
    halves = (tf.float16, tf.bfloat16)
    return tf.nest.map_structure(
        lambda x: tf.cast(x, tf.float32) if x.dtype in halves else x, tensors
    )


def _dot(
    states: Any, kernel: Any, columns: slice = slice(None), drop: bool = True
) -> Any:
    """Multiply the states of all time steps (T, B, U) with a matrix."""
    return product(states, kernel[:, columns])
