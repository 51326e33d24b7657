"""The sLSTM cell, of xLSTM."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.cells.linear_cell import in_full
from keras_recurrent.layers.cells.recurrent_cell import (
    Dot,
    Gate,
    RecurrentCell,
    plain_dot,
    plain_gate,
)

# What the stabiliser starts at: below every gate, so that the first time step
# sets it.
LOWEST = -1e9


@keras.saving.register_keras_serializable(package="keras_recurrent")
class SLSTMCell(RecurrentCell):
    """sLSTM cell: an LSTM with exponential gates and a normaliser.

        i_t  = exp(W_i·[h_{t-1}, x_t] + b_i)      input gate
        f_t  = σ(W_f·[h_{t-1}, x_t] + b_f)        forget gate
        z_t  = tanh(W_z·[h_{t-1}, x_t] + b_z)     candidate
        o_t  = σ(W_o·[h_{t-1}, x_t] + b_o)        output gate
        c_t  = f_t ∗ c_{t-1} + i_t ∗ z_t          cell state
        n_t  = f_t ∗ n_{t-1} + i_t                normaliser
        h_t  = o_t ∗ c_t / n_t                    output

    An exponential gate can revise what was stored: it outweighs everything
    before. To keep it from overflowing, c and n are carried divided by
    exp(m_t), where m_t = max(log f_t + m_{t-1}, log i_t) is the stabiliser;
    this changes nothing in h. States and gates are float32 also under half
    precision.

    With more than one head, each head sees only its own part of h_{t-1}: the
    recurrent matrix is block-diagonal. `kernel` is (D, 4U) and `bias` (4U,),
    in the order i, f, z, o; `recurrent_kernel` is (U / heads, 4U), head by
    head, each in that order.

    Args:
        units: Positive integer, size of the output and of the cell state.
        num_heads: Positive integer that divides `units`.
        exponential_forget_gate: Whether f_t is exp rather than σ.
        unit_forget_bias: Whether b_f starts at 1.
        **kwargs: The other arguments of `RecurrentCell`;
            `recurrent_dropout` goes with one head only.

    Call arguments:
        inputs: (B, D).
        states: [h, c, n, m], each (B, U).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states.

    Raises:
        ValueError: `num_heads` does not divide `units`, or there are several
            heads and recurrent dropout.

    Reference:
        Beck et al. (2024), xLSTM, arXiv:2405.04517, section 2.2.

    Example:

    >>> cell = SLSTMCell(4, num_heads=2)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 4])
    """

    def __init__(
        self,
        units: int,
        num_heads: int = 1,
        exponential_forget_gate: bool = False,
        unit_forget_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, **kwargs)
        check_heads(units, num_heads)
        if num_heads > 1 and self.recurrent_dropout:
            raise ValueError(
                "`recurrent_dropout` goes with one head only. Received: "
                f"num_heads={num_heads}, "
                f"recurrent_dropout={self.recurrent_dropout}"
            )
        self.num_heads = num_heads
        self.exponential_forget_gate = exponential_forget_gate
        self.unit_forget_bias = unit_forget_bias

    @property
    def state_size(self) -> list[int]:
        return [self.units] * 4

    @property
    def free_states(self) -> list[int]:
        return [0]

    def build(self, input_shape: Any) -> None:
        # gates: i, f, z, o
        self.kernel = self.add_kernel(input_shape[-1], 4)
        self.recurrent_kernel = self.add_weight(
            shape=(self.units // self.num_heads, 4 * self.units),
            name="recurrent_kernel",
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias = self.add_bias((4 * self.units,), self._initial_bias)

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        h, *rest = states
        c, n, m = in_full(rest)
        gates = in_full(projected + self._recurrent(h, dot))  # (B, 4U)
        log_i, log_f, z, o = tf.split(gates, 4, axis=-1)
        if not self.exponential_forget_gate:
            log_f = tf.math.log_sigmoid(log_f)
        new_m = stabiliser(log_i, log_f, m)
        exponential = keras.activations.exponential
        i = gate("input", exponential, log_i - new_m)
        f = gate("forget", exponential, log_f + m - new_m)
        z = gate("candidate", keras.activations.tanh, z)
        o = gate("output", keras.activations.sigmoid, o)
        c = f * c + i * z
        n = f * n + i
        h = o * c / n
        new_states = [h, c, n, new_m]
        new_states = [
            # `keras.layers.RNN` insists on states of one dtype.
            tf.cast(new, old.dtype)
            for new, old in zip(new_states, states, strict=True)
        ]
        return new_states[0], new_states

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        h, *rest = super().get_initial_state(batch_size)
        c, n, m = in_full(rest)
        return [h, c, n, m + LOWEST]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_heads": self.num_heads,
            "exponential_forget_gate": self.exponential_forget_gate,
            "unit_forget_bias": self.unit_forget_bias,
        }

    def _recurrent(self, h: Any, dot: Dot) -> Any:
        """Multiply each head's part of h with its block, (B, 4U)."""
        if self.num_heads == 1:
            return dot(h, self.recurrent_kernel)
        width = 4 * self.units // self.num_heads
        heads = [
            tf.split(
                dot(
                    part,
                    self.recurrent_kernel,
                    slice(head * width, (head + 1) * width),
                ),
                4,
                axis=-1,
            )
            for head, part in enumerate(tf.split(h, self.num_heads, axis=-1))
        ]
        # Gate by gate rather than head by head.
        return tf.concat(
            [part for parts in zip(*heads, strict=True) for part in parts], -1
        )

    def _initial_bias(self, shape: Any, dtype: Any = None) -> Any:
        bias = self.bias_initializer(shape, dtype=dtype)
        if not self.unit_forget_bias:
            return bias
        i, _, z_and_o = tf.split(bias, [self.units, self.units, 2 * self.units])
        return tf.concat([i, tf.ones((self.units,), dtype), z_and_o], axis=0)


def stabiliser(log_i: Any, log_f: Any, m: Any) -> Any:
    """Return max(log f + m, log i).

    It has no gradient: whatever is divided by its exponential is so in the
    numerator and in the denominator.
    """
    return tf.stop_gradient(tf.maximum(log_f + m, log_i))


def check_heads(units: int, num_heads: int) -> None:
    if num_heads < 1 or units % num_heads:
        raise ValueError(
            "`num_heads` must be positive and divide `units`. Received: "
            f"num_heads={num_heads}, units={units}"
        )
