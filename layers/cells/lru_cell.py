"""The linear recurrent unit."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.cells.linear_cell import LinearCell
from keras_recurrent.layers.cells.recurrent_cell import (
    Dot,
    Gate,
    plain_dot,
    plain_gate,
)
from keras_recurrent.layers.ops.product import product


@keras.saving.register_keras_serializable(package="keras_recurrent")
class LRUCell(LinearCell):
    """Linear recurrent unit: a diagonal complex recurrence without gates.

        λ   = exp(−exp(ν) + i exp(θ))              |λ| < 1
        h_t = λ ∗ h_{t-1} + exp(γ) ∗ (B·x_t)       state, complex
        y_t = Re(C·h_t) + D·x_t + b                output

    Each unit is a damped oscillation of its own; what is not linear has to
    come from the layers around it. Trained in parallel over time. `kernel`
    (D, 3U) holds the real and the imaginary part of B, and D;
    `recurrent_kernel` (U, 2U) the real part of C and the negative of its
    imaginary part; ν, θ and γ are (U,). The state is kept as two real ones.

    |λ| starts evenly distributed over the ring between `r_min` and `r_max`,
    its angle between 0 and `max_phase`; γ = log √(1 − |λ|²) makes states as
    large as inputs are.

    Args:
        units: Positive integer, size of the state and of the output.
        r_min, r_max: Bounds of |λ| at the start, 0 <= r_min < r_max <= 1. The
            closer to 1, the longer the memory.
        max_phase: Largest angle of λ at the start, in radians.
        use_bias: Whether there is b.
        kernel_initializer: For B and D.
        recurrent_initializer: For C.
        **kwargs: The other arguments of `LinearCell`.

    Call arguments:
        inputs: (B, D).
        states: [Re h, Im h], each (B, U).
        training: Whether to apply dropout.

    Returns:
        The output y_t (B, U) and the new states.

    Raises:
        ValueError: `r_min` and `r_max` are no bounds within [0, 1].

    Reference:
        Orvieto et al. (2023), arXiv:2303.06349.

    Example:

    >>> cell = LRUCell(3)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> [state.shape.as_list() for state in states]
    [[2, 3], [2, 3]]
    """

    def __init__(
        self,
        units: int,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 2 * math.pi,
        use_bias: bool = False,
        kernel_initializer: Any = None,
        recurrent_initializer: Any = None,
        **kwargs: Any,
    ) -> None:
        scaled = keras.initializers.VarianceScaling
        super().__init__(
            units,
            use_bias=use_bias,
            # A complex number has two parts that add to its variance.
            kernel_initializer=kernel_initializer or scaled(0.5),
            recurrent_initializer=recurrent_initializer or scaled(1.0),
            **kwargs,
        )
        if not 0 <= r_min < r_max <= 1:
            raise ValueError(
                "`r_min` and `r_max` must satisfy 0 <= r_min < r_max <= 1. "
                f"Received: r_min={r_min}, r_max={r_max}"
            )
        self.r_min = r_min
        self.r_max = r_max
        self.max_phase = max_phase

    @property
    def state_size(self) -> list[int]:
        return [self.units, self.units]

    def build(self, input_shape: Any) -> None:
        # Re B, Im B, D
        self.kernel = self.add_kernel(input_shape[-1], 3)
        # Re C, −Im C
        self.recurrent_kernel = self.add_recurrent_kernel(2)
        self.bias = self.add_bias((self.units,))
        squares = self._uniform(self.r_min**2, self.r_max**2)
        phases = self._uniform(0.0, self.max_phase)
        for name, value in (
            ("nu", tf.math.log(-0.5 * tf.math.log(squares))),
            ("theta", tf.math.log(phases)),
            ("gamma", 0.5 * tf.math.log1p(-squares)),
        ):
            weight = self.add_weight(
                shape=(self.units,),
                name=name,
                initializer=lambda shape, dtype, value=value: tf.cast(
                    value, dtype
                ),
                # A half cannot tell 0.999 from 1.
                autocast=False,
            )
            setattr(self, name, weight)

    def project(self, inputs: Any) -> Any:
        bias = None
        if self.use_bias:
            bias = tf.convert_to_tensor(self.bias)
            bias = tf.pad(bias, [(2 * self.units, 0)])
        return product(inputs, self.kernel, bias)

    def coefficients(
        self, projected: Any, gate: Gate = plain_gate
    ) -> tuple[Any, Any]:
        real, imaginary, _ = tf.split(projected, 3, axis=-1)
        b = tf.complex(*(tf.exp(self.gamma) * x for x in (real, imaginary)))
        modulus, phase = tf.exp(-tf.exp(self.nu)), tf.exp(self.theta)
        eigenvalues = tf.complex(
            modulus * tf.cos(phase), modulus * tf.sin(phase)
        )
        return tf.broadcast_to(eigenvalues, tf.shape(b)), b

    def read_out(
        self,
        h: Any,
        projected: Any,
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> Any:
        real, imaginary = (
            tf.cast(x, self.compute_dtype) for x in self.split(h)
        )
        kernel, n = self.recurrent_kernel, self.units
        y = dot(real, kernel, slice(n), drop=False)
        y = y + dot(imaginary, kernel, slice(n, None), drop=False)
        return tf.cast(y, projected.dtype) + projected[..., 2 * n :]

    def join(self, states: Sequence[Any]) -> Any:
        return tf.complex(*states)

    def split(self, h: Any) -> list[Any]:
        return [tf.math.real(h), tf.math.imag(h)]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "r_min": self.r_min,
            "r_max": self.r_max,
            "max_phase": self.max_phase,
        }

    def _uniform(self, low: float, high: float) -> Any:
        """Draw (U,), never at the bounds, where there are no logarithms."""
        share = keras.random.uniform(
            (self.units,), 1e-4, 1 - 1e-4, "float32", self.seed
        )
        return low + (high - low) * share
