"""The LSTM that only forgets."""

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
class JANETCell(RecurrentCell):
    """LSTM cell with a forget gate alone ("just another network").

        s_t  = W_f·x_t + U_f·h_{t-1} + b_f
        h'_t = tanh(W_h·x_t + U_h·h_{t-1} + b_h)            candidate
        h_t  = σ(s_t) ∗ h_{t-1} + (1 − σ(s_t − β)) ∗ h'_t   output

    With β > 0 the cell takes in more than it forgets. It has half the weights
    of an LSTM; with the chrono initialization of b_f it remembers over long
    times. `kernel` is (D, 2U), `recurrent_kernel` (U, 2U), `bias` (2U,), gates
    in the order f, h.

    Args:
        units: Positive integer, size of the state and of the output.
        activation: Activation of the candidate.
        use_bias: Whether the cell has a bias.
        beta: β.
        longest: Longest time T in steps over which to remember; b_f starts at
            log(u), u uniform in [1, T − 1] (Tallec & Ollivier 2018,
            arXiv:1804.11188). None starts b_f at 1.
        **kwargs: The other arguments of `RecurrentCell`.

    Call arguments:
        inputs: (B, D).
        states: [h], (B, U).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states [h_t].

    Raises:
        ValueError: `longest` is not above 2.

    Reference:
        van der Westhuizen & Lasenby (2018), arXiv:1804.04849.

    Example:

    >>> cell = JANETCell(3, longest=100)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 3])
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        beta: float = 1.0,
        longest: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, use_bias=use_bias, **kwargs)
        if longest is not None and longest <= 2:
            raise ValueError(
                f"`longest` must be above 2. Received: longest={longest}"
            )
        self.activation = keras.activations.get(activation)
        self.beta = beta
        self.longest = longest

    @property
    def state_size(self) -> int:
        return self.units

    def build(self, input_shape: Any) -> None:
        # gates: f, h
        self.kernel = self.add_kernel(input_shape[-1], 2)
        self.recurrent_kernel = self.add_recurrent_kernel(2)
        self.bias = self.add_bias((2 * self.units,), self._initial_bias)

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        (h,) = states
        s, candidate = tf.split(
            projected + dot(h, self.recurrent_kernel), 2, axis=-1
        )
        sigmoid = keras.activations.sigmoid
        f = gate("forget", sigmoid, s)
        i = 1 - gate("shifted forget", sigmoid, s - self.beta)
        h = f * h + i * gate("candidate", self.activation, candidate)
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "activation": keras.activations.serialize(self.activation),
            "beta": self.beta,
            "longest": self.longest,
        }

    def _initial_bias(self, shape: Any, dtype: Any = None) -> Any:
        forget = tf.ones((self.units,), dtype)
        if self.longest is not None:
            times = keras.random.uniform(
                (self.units,), 1.0, self.longest - 1.0, dtype, self.seed
            )
            forget = tf.math.log(times)
        candidate = self.bias_initializer((self.units,), dtype=dtype)
        return tf.concat([forget, candidate], axis=0)
