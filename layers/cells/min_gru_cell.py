"""The minimal gated recurrent unit."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.cells.linear_cell import LinearCell
from keras_recurrent.layers.cells.recurrent_cell import Gate, plain_gate


@tf.custom_gradient
def _positive(x: Any) -> tuple[Any, Callable[[Any], Any]]:
    y = tf.where(x >= 0, x + 0.5, tf.sigmoid(x))

    def gradient(d_y: Any) -> Any:
        # From y, which is needed anyway: less to keep.
        return tf.where(y >= 0.5, d_y, d_y * y * (1 - y))

    return y, gradient


@keras.saving.register_keras_serializable(package="keras_recurrent")
def positive(x: Any) -> Any:
    """g(x) = x + ½ for x ≥ 0, and σ(x) for x < 0: smooth and above 0."""
    return _positive(x)


@keras.saving.register_keras_serializable(package="keras_recurrent")
class MinGRUCell(LinearCell):
    """Minimal gated recurrent unit: a GRU whose gates do not see the state.

        z_t  = σ(W_z·x_t + b_z)                   update gate
        h'_t = g(W_h·x_t + b_h)                   candidate
        h_t  = (1 − z_t) ∗ h_{t-1} + z_t ∗ h'_t   output

    where g is `activation`. Trained in parallel over time. Mind that, other
    than in `GRUCell`, z_t = 1 lets go of the past. `kernel` is (D, 2U),
    `bias` (2U,), in the order z, h.

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

    >>> cell = MinGRUCell(3)
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
        # gates: z, h
        self.kernel = self.add_kernel(input_shape[-1], 2)
        self.bias = self.add_bias((2 * self.units,))

    def coefficients(
        self, projected: Any, gate: Gate = plain_gate
    ) -> tuple[Any, Any]:
        z, candidate = tf.split(projected, 2, axis=-1)
        z = gate("update", keras.activations.sigmoid, z)
        return 1 - z, z * gate("candidate", self.activation, candidate)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "activation": keras.activations.serialize(self.activation)
        }
