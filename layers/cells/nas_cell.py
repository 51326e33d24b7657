"""The cell found by neural architecture search."""

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
class NASCell(RecurrentCell):
    """Cell found by neural architecture search.

        a_k = W_k·x_t,  b_k = U_k·m_{t-1} (+ bias_k)          k = 0, …, 7
        p   = tanh(σ(a_0 + b_0) ∗ relu(a_1 + b_1))
        q   = tanh(σ(a_2 + b_2) + relu(a_3 ∗ b_3))
        r   = tanh(tanh(a_4 + b_4) ∗ σ(a_5 + b_5))
        s   = σ(tanh(a_6 + b_6) + σ(a_7 + b_7))
        c_t = tanh(p + c_{t-1}) ∗ q
        m_t = tanh(c_t ∗ tanh(r + s))       (· P, with a projection)

    Arguments and numbers are those of `tfa.rnn.NASCell`: **the states are
    [c, m]**, the other way round than in an LSTM. `kernel` is (D, 8U),
    `recurrent_kernel` (O, 8U), `bias` (8U,), `projection_weights` (U, O), where
    O is `projection`, or U without one.

    Args:
        units: Positive integer, size of c.
        projection: Size of m and of the output; None for `units`.
        use_bias: Whether the cell has a bias.
        projection_initializer: For the projection.
        **kwargs: The other arguments of `RecurrentCell`.

    Call arguments:
        inputs: (B, D).
        states: [c, m], (B, U) and (B, O).
        training: Whether to apply dropout.

    Returns:
        The output m_t (B, O) and the new states [c_t, m_t].

    Reference:
        Zoph & Le (2017), arXiv:1611.01578, appendix.

    Example:

    >>> cell = NASCell(3)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 3])
    """

    def __init__(
        self,
        units: int,
        projection: int | None = None,
        use_bias: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "glorot_uniform",
        projection_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            **kwargs,
        )
        self.projection = projection
        self.projection_initializer = keras.initializers.get(
            projection_initializer
        )

    @property
    def state_size(self) -> list[int]:
        return [self.units, self.output_size]

    @property
    def output_size(self) -> int:
        return self.projection or self.units

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_kernel(input_shape[-1], 8)
        self.recurrent_kernel = self.add_recurrent_kernel(8)
        self.bias = self.add_bias((8 * self.units,))
        if self.projection:
            self.projection_weights = self.add_weight(
                shape=(self.units, self.projection),
                name="projection_weights",
                initializer=self.projection_initializer,
            )

    def input_bias(self) -> None:
        return None  # It belongs to the recurrent product.

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        c, m = states
        recurrent = dot(m, self.recurrent_kernel)
        if self.use_bias:
            # Not in `project`: the fourth pair is multiplied, not added.
            recurrent = recurrent + self.bias
        a = tf.split(projected, 8, axis=-1)
        b = tf.split(recurrent, 8, axis=-1)
        sigmoid, tanh = keras.activations.sigmoid, keras.activations.tanh
        relu = keras.activations.relu
        p = gate("p", sigmoid, a[0] + b[0]) * relu(a[1] + b[1])
        q = gate("q", sigmoid, a[2] + b[2]) + relu(a[3] * b[3])
        r = gate("r", tanh, a[4] + b[4]) * gate("r_gate", sigmoid, a[5] + b[5])
        s = gate("s", tanh, a[6] + b[6]) + gate("s_gate", sigmoid, a[7] + b[7])
        c = tanh(tanh(p) + c) * tanh(q)
        m = tanh(c * tanh(tanh(r) + sigmoid(s)))
        if self.projection:
            m = dot(m, self.projection_weights, drop=False)
        return m, [c, m]

    def output_of(self, states: Sequence[Any]) -> Any:
        return states[1]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "projection": self.projection,
            "projection_initializer": keras.initializers.serialize(
                self.projection_initializer
            ),
        }
