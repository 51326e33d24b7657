"""The simple recurrent unit."""

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
from keras_recurrent.layers.ops.product import product


@keras.saving.register_keras_serializable(package="keras_recurrent")
class SRUCell(LinearCell):
    """Simple recurrent unit.

        f_t = σ(W_f·x_t + v_f ∗ c_{t-1} + b_f)         forget gate
        r_t = σ(W_r·x_t + v_r ∗ c_{t-1} + b_r)         reset gate
        c_t = f_t ∗ c_{t-1} + (1 − f_t) ∗ (W·x_t)      state
        h_t = r_t ∗ g(c_t) + (1 − r_t) ∗ x_t           output

    where g is `activation`. Without `gates_see_state` v_f = v_r = 0, and the
    cell is trained in parallel over time; with it, step by step. If x_t has
    not as many features as the cell has units, W_x·x_t stands in its place in
    the last line. `kernel` is (D, 3U), or (D, 4U) with W_x, in the order f,
    r, W, x; `bias` is (2U,), `recurrent_kernel` (2U,), in the order f, r.

    Args:
        units: Positive integer, size of the state and of the output.
        activation: Activation of the state, g.
        gates_see_state: Whether there are v_f and v_r.
        recurrent_initializer: For v_f and v_r.
        **kwargs: The other arguments of `LinearCell`.

    Call arguments:
        inputs: (B, D).
        states: [c], (B, U).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states [c_t].

    Reference:
        Lei et al. (2018), Simple Recurrent Units for Highly Parallelizable
        Recurrence, arXiv:1709.02755.

    Example:

    >>> cell = SRUCell(3)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 3])
    """

    def __init__(
        self,
        units: int,
        activation: Any = "linear",
        gates_see_state: bool = False,
        recurrent_initializer: Any = "random_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units, recurrent_initializer=recurrent_initializer, **kwargs
        )
        self.activation = keras.activations.get(activation)
        self.gates_see_state = gates_see_state

    @property
    def parallel(self) -> bool:
        return not self.gates_see_state

    def build(self, input_shape: Any) -> None:
        # f, r, W, and x where it has another size than the output
        input_size = input_shape[-1]
        self.parts = 3 if input_size == self.units else 4
        self.kernel = self.add_kernel(input_size, self.parts)
        if self.gates_see_state:
            self.recurrent_kernel = self.add_weight(
                shape=(2 * self.units,),
                name="recurrent_kernel",
                initializer=self.recurrent_initializer,
                regularizer=self.recurrent_regularizer,
                constraint=self.recurrent_constraint,
            )
        self.bias = self.add_bias((2 * self.units,))

    def project(self, inputs: Any) -> Any:
        bias = None
        if self.use_bias:
            bias = tf.convert_to_tensor(self.bias)
            bias = tf.pad(bias, [(0, (self.parts - 2) * self.units)])
        projected = product(inputs, self.kernel, bias)
        return [projected, inputs] if self.parts == 3 else [projected]

    def coefficients(
        self, projected: Any, gate: Gate = plain_gate
    ) -> tuple[Any, Any]:
        f, _, value, _ = self._split(projected)
        f = gate("forget", keras.activations.sigmoid, f)
        return f, (1 - f) * value

    def read_out(
        self,
        h: Any,
        projected: Any,
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> Any:
        _, r, _, x = self._split(projected)
        r = gate("reset", keras.activations.sigmoid, r)
        return r * self.activation(h) + (1 - r) * x

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        if self.gates_see_state:
            (c,), (gates, *x) = in_full(states), in_full(projected)
            v = in_full(tf.convert_to_tensor(self.recurrent_kernel))
            rest = tf.zeros_like(gates[:, 2 * self.units :])
            seen = tf.concat([v * tf.concat([c, c], -1), rest], axis=-1)
            projected = [gates + seen, *x]
        return super().step(projected, states, dot, gate)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "activation": keras.activations.serialize(self.activation),
            "gates_see_state": self.gates_see_state,
        }

    def _split(self, projected: Any) -> list[Any]:
        """Return what belongs to f, r, W and x."""
        gates, *x = projected
        return [*tf.split(gates, self.parts, axis=-1), *x]
