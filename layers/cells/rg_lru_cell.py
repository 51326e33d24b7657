"""The real-gated linear recurrent unit."""

from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.cells.linear_cell import LinearCell
from keras_recurrent.layers.cells.recurrent_cell import Gate, plain_gate
from keras_recurrent.layers.ops.product import product

# c in the equations, as in the paper.
_SHARPNESS = 8.0


@keras.saving.register_keras_serializable(package="keras_recurrent")
class RGLRUCell(LinearCell):
    """Real-gated linear recurrent unit, of Griffin and RecurrentGemma.

        r_t = σ(W_a·x_t + b_a)                               recurrence gate
        i_t = σ(W_i·x_t + b_i)                               input gate
        a_t = exp(−c r_t ∗ softplus(Λ)),  c = 8
        h_t = a_t ∗ h_{t-1} + √(1 − a_t²) ∗ (i_t ∗ x_t)      output

    exp(−c softplus(Λ)) is how much of the state a fully open recurrence gate
    keeps; r_t = 0 keeps all of it and lets no input in. Trained in parallel
    over time. If x_t has not as many features as the cell has units, W_x·x_t
    stands in its place in the last line. `kernel` is (D, 2U), or (D, 3U) with
    W_x, in the order a, i, x; `bias` is (2U,), Λ is (U,).

    Args:
        units: Positive integer, size of the state and of the output.
        r_min, r_max: Bounds of exp(−softplus(Λ)) at the start, over whose
            ring it is evenly distributed; 0 < r_min < r_max < 1.
        **kwargs: The other arguments of `LinearCell`.

    Call arguments:
        inputs: (B, D).
        states: [h], (B, U).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states [h_t].

    Raises:
        ValueError: `r_min` and `r_max` are no bounds within (0, 1).

    Reference:
        De et al. (2024), Griffin, arXiv:2402.19427, section 2.4.

    Example:

    >>> cell = RGLRUCell(3)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 3])
    """

    def __init__(
        self,
        units: int,
        r_min: float = 0.9,
        r_max: float = 0.999,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, **kwargs)
        if not 0 < r_min < r_max < 1:
            raise ValueError(
                "`r_min` and `r_max` must satisfy 0 < r_min < r_max < 1. "
                f"Received: r_min={r_min}, r_max={r_max}"
            )
        self.r_min = r_min
        self.r_max = r_max

    def build(self, input_shape: Any) -> None:
        # gates: a, i, and x where it has another size than the output
        input_size = input_shape[-1]
        self.parts = 2 if input_size == self.units else 3
        self.kernel = self.add_kernel(input_size, self.parts)
        self.bias = self.add_bias((2 * self.units,))
        self.decay = self.add_weight(
            shape=(self.units,),
            name="decay",
            initializer=self._initial_decay,
            # A half cannot tell 0.999 from 1.
            autocast=False,
        )

    def project(self, inputs: Any) -> Any:
        bias = None
        if self.use_bias:
            bias = tf.convert_to_tensor(self.bias)
            bias = tf.pad(bias, [(0, (self.parts - 2) * self.units)])
        projected = product(inputs, self.kernel, bias)
        return [projected, inputs] if self.parts == 2 else [projected]

    def coefficients(
        self, projected: Any, gate: Gate = plain_gate
    ) -> tuple[Any, Any]:
        gates, *inputs = projected
        parts: list[Any] = tf.split(gates, self.parts, axis=-1)
        r, i, x = parts + inputs
        r = gate("recurrence", keras.activations.sigmoid, r)
        i = gate("input", keras.activations.sigmoid, i)
        log_a = -_SHARPNESS * r * tf.nn.softplus(self.decay)
        # The bound keeps the gradient of the root finite where a = 1.
        power = tf.maximum(-tf.math.expm1(2 * log_a), 1e-12)
        return tf.exp(log_a), tf.sqrt(power) * i * x

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "r_min": self.r_min,
            "r_max": self.r_max,
        }

    def _initial_decay(self, shape: Any, dtype: Any = None) -> Any:
        squares = keras.random.uniform(
            shape, self.r_min**2, self.r_max**2, dtype, self.seed
        )
        # The inverse of softplus at −log √squares.
        return tf.math.log(tf.math.expm1(-0.5 * tf.math.log(squares)))
