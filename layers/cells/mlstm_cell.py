"""The mLSTM cell, of xLSTM."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.cells.linear_cell import in_full
from keras_recurrent.layers.cells.mlstm_scan import denominator, mlstm_scan
from keras_recurrent.layers.cells.recurrent_cell import (
    Dot,
    Gate,
    RecurrentCell,
    plain_dot,
    plain_gate,
)
from keras_recurrent.layers.cells.slstm_cell import (
    LOWEST,
    check_heads,
    stabiliser,
)
from keras_recurrent.layers.ops.linear_scan import last_of, linear_scan


@keras.saving.register_keras_serializable(package="keras_recurrent")
class MLSTMCell(RecurrentCell):
    """mLSTM cell: an LSTM whose cell state is a matrix, a memory of pairs.

        q_t = W_q·x_t + b_q                       query
        k_t = (W_k·x_t + b_k) / √d                key
        v_t = W_v·x_t + b_v                       value
        i_t = exp(w_i·x_t + b_i)                  input gate, a number
        f_t = σ(w_f·x_t + b_f)                    forget gate, a number
        o_t = σ(W_o·x_t + b_o)                    output gate
        C_t = f_t C_{t-1} + i_t v_t·k_tᵀ          cell state, (d, d)
        n_t = f_t n_{t-1} + i_t k_t               normaliser, (d,)
        h_t = o_t ∗ (C_t·q_t / max(|n_tᵀ·q_t|, 1))   output

    It stores values under keys and reads them by queries. All this holds for
    each head by itself, d = U / heads. As in `SLSTMCell`, C and n are carried
    divided by exp(m_t), where m_t = max(log f_t + m_{t-1}, log i_t), in
    float32 also under half precision.

    No gate looks at the output: there is no recurrent matrix, and time steps
    are computed in parallel, chunk by chunk (`mlstm_scan`). `kernel` is
    (D, 4U + 2·heads), `bias` (4U + 2·heads,), in the order q, k, v, o, i, f.
    For f_t = σ, b_f starts between 3 and 6, so that heads begin by remembering
    over 20 to 400 time steps.

    Args:
        units: Positive integer, size of the output.
        num_heads: Positive integer that divides `units`.
        exponential_forget_gate: Whether f_t is exp rather than σ.
        **kwargs: The other arguments of `RecurrentCell`, except for
            `recurrent_dropout`: there is no recurrent product to drop from.

    Call arguments:
        inputs: (B, D).
        states: [h, C, n, m], (B, U), (B, heads, d, d), (B, heads, d) and
            (B, heads).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states.

    Raises:
        ValueError: `num_heads` does not divide `units`, or there is recurrent
            dropout.

    Reference:
        Beck et al. (2024), xLSTM, arXiv:2405.04517, section 2.3.

    Example:

    >>> cell = MLSTMCell(4, num_heads=2)
    >>> output, states = cell(tf.ones((3, 5)), cell.get_initial_state(3))
    >>> [state.shape.as_list() for state in states]
    [[3, 4], [3, 2, 2, 2], [3, 2, 2], [3, 2]]
    """

    def __init__(
        self,
        units: int,
        num_heads: int = 1,
        exponential_forget_gate: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, **kwargs)
        check_heads(units, num_heads)
        if self.recurrent_dropout:
            raise ValueError(
                "`MLSTMCell` has no recurrent product to drop from. Received: "
                f"recurrent_dropout={self.recurrent_dropout}"
            )
        self.num_heads = num_heads
        self.exponential_forget_gate = exponential_forget_gate

    @property
    def state_size(self) -> list[Any]:
        heads, d = self.num_heads, self.units // self.num_heads
        return [self.units, (heads, d, d), (heads, d), (heads,)]

    @property
    def free_states(self) -> list[int]:
        return [0]

    def build(self, input_shape: Any) -> None:
        width = 4 * self.units + 2 * self.num_heads
        self.kernel = self.add_weight(
            shape=(input_shape[-1], width),
            name="kernel",
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = self.add_bias((width,), self._initial_bias)

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        _, c, n, m = in_full(states)
        q, k, v, o, log_i, log_f = self._parts(projected)
        new_m = stabiliser(log_i, log_f, m)
        exponential = keras.activations.exponential
        i = gate("input", exponential, log_i - new_m)[..., tf.newaxis]
        f = gate("forget", exponential, log_f + m - new_m)[..., tf.newaxis]
        pair = v[..., tf.newaxis] * k[..., tf.newaxis, :]
        c = f[..., tf.newaxis] * c + i[..., tf.newaxis] * pair
        n = f * n + i * k
        value = tf.linalg.matvec(c, q)
        weight = tf.reduce_sum(n * q, axis=-1, keepdims=True)
        value = value / denominator(weight, new_m[..., tf.newaxis])
        o = gate("output", keras.activations.sigmoid, o)
        h = o * tf.reshape(value, (-1, self.units))
        new_states = [
            # `keras.layers.RNN` insists on states of one dtype.
            tf.cast(new, old.dtype)
            for new, old in zip([h, c, n, new_m], states, strict=True)
        ]
        return tf.cast(h, self.compute_dtype), new_states

    @property
    def parallel(self) -> bool:
        return True

    def scan(
        self, projected: Any, states: Sequence[Any], mask: Any = None
    ) -> tuple[Any, list[Any]]:
        h, *rest = in_full(states)
        q, k, v, o, log_i, log_f = self._parts(projected)
        read, rest = mlstm_scan((q, k, v, log_i, log_f), rest, mask)
        outputs = tf.sigmoid(o) * tf.reshape(read, tf.shape(o))  # (T, B, U)
        if mask is not None:
            # At masked time steps the one before is repeated.
            outputs = linear_scan(tf.zeros_like(outputs), outputs, h, mask)
        h = last_of(outputs, h)
        outputs, h = tf.nest.map_structure(
            lambda x: tf.cast(x, self.compute_dtype), (outputs, h)
        )
        return outputs, [h, *rest]

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        units, *shapes = self.state_size
        c, n, m = (tf.zeros((batch_size, *shape)) for shape in shapes)
        h = tf.zeros((batch_size, units), self.compute_dtype)
        return [h, c, n, m + LOWEST]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_heads": self.num_heads,
            "exponential_forget_gate": self.exponential_forget_gate,
        }

    def _initial_bias(self, shape: Any, dtype: Any = None) -> Any:
        bias = self.bias_initializer(shape, dtype=dtype)
        if self.exponential_forget_gate:
            return bias
        forget = tf.linspace(3.0, 6.0, self.num_heads)
        bias = bias[: -self.num_heads]
        return tf.concat([bias, tf.cast(forget, bias.dtype)], axis=0)

    def _parts(self, projected: Any) -> list[Any]:
        """Return q, k, v (…, heads, d), o (…, U), log i, log f (…, heads)."""
        heads, d = self.num_heads, self.units // self.num_heads
        *vectors, o, log_i, log_f = tf.split(
            in_full(projected), [*[self.units] * 4, heads, heads], axis=-1
        )
        shape = tf.concat([tf.shape(o)[:-1], [heads, d]], axis=0)
        q, k, v = (tf.reshape(x, shape) for x in vectors)
        if not self.exponential_forget_gate:
            log_f = tf.math.log_sigmoid(log_f)
        return [q, k / d**0.5, v, o, log_i, log_f]
