"""The minimal long short-term memory cell."""

from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.cells.linear_cell import LinearCell
from keras_recurrent.layers.cells.min_gru_cell import positive
from keras_recurrent.layers.cells.recurrent_cell import Gate, plain_gate


@keras.saving.register_keras_serializable(package="keras_recurrent")
class MinLSTMCell(LinearCell):
    """Minimal LSTM cell: no output gate, and gates that do not see the state.

        f_t  = σ(W_f·x_t + b_f)
        i_t  = σ(W_i·x_t + b_i)
        f'_t = f_t / (f_t + i_t)                  forget gate
        i'_t = i_t / (f_t + i_t) = 1 − f'_t       input gate
        h'_t = g(W_h·x_t + b_h)                   candidate
        h_t  = f'_t ∗ h_{t-1} + i'_t ∗ h'_t       output

    where g is `activation`. Trained in parallel over time. `kernel` is
    (D, 3U), `bias` (3U,), in the order f, i, h.

    Args:
        units: Positive integer, size of the state and of the output.
        activation: Activation of the candidate. By default that of the paper,
            g(x) = x + ½ for x ≥ 0, σ(x) for x < 0, which keeps states above 0.
        **kwargs: The other arguments of `LinearCell`.

    Call arguments:
        inputs: (B, D).
        states: [h], (B, U).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states [h_t].

    Reference:
        Feng et al. (2024), Were RNNs All We Needed?, arXiv:2410.01201.

    Example:

    >>> cell = MinLSTMCell(3)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 3])
    """

    def __init__(
        self, units: int, activation: Any = positive, **kwargs: Any
    ) -> None:
        super().__init__(units, **kwargs)
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Any) -> None:
        # gates: f, i, h
        self.kernel = self.add_kernel(input_shape[-1], 3)
        self.bias = self.add_bias((3 * self.units,))

    def coefficients(
        self, projected: Any, gate: Gate = plain_gate
    ) -> tuple[Any, Any]:
        f, i, candidate = tf.split(projected, 3, axis=-1)
        # f' = σ(log f − log i), which holds when f and i are both too small
        # for a division.
        odds = tf.math.log_sigmoid(f) - tf.math.log_sigmoid(i)
        f = gate("forget", keras.activations.sigmoid, odds)
        return f, (1 - f) * gate("candidate", self.activation, candidate)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "activation": keras.activations.serialize(self.activation)
        }
