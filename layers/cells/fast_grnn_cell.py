"""The recurrent cell for tiny devices."""

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
from keras_recurrent.layers.ops.product import product


@keras.saving.register_keras_serializable(package="keras_recurrent")
class FastGRNNCell(RecurrentCell):
    """Fast gated recurrent cell.

        s_t  = W·x_t + U·h_{t-1}
        z_t  = σ(s_t + b_z)                              update gate
        h'_t = tanh(s_t + b_h)                           candidate
        h_t  = (ζ (1 − z_t) + ν) ∗ h'_t + z_t ∗ h_{t-1}  output

    where tanh is `activation`, and ζ and ν are two numbers in (0, 1), learned.
    The gate and the candidate share their matrices, of which there are a third
    of a GRU's, and each may be a product of two thin ones: for devices with
    kilobytes of memory. `kernel` is (D, U), or with a rank R `kernel` (D, R)
    and `kernel_2` (R, U), W their product; likewise `recurrent_kernel`.
    `bias` is (2U,), in the order z, h; `zeta` and `nu` are σ⁻¹(ζ) and σ⁻¹(ν).

    Args:
        units: Positive integer, size of the state and of the output.
        activation: Activation of the candidate.
        use_bias: Whether the cell has a bias.
        kernel_rank: Positive integer, rank of W, or None for a full matrix.
        recurrent_rank: Positive integer, rank of U, or None for a full matrix.
        **kwargs: The other arguments of `RecurrentCell`.

    Call arguments:
        inputs: (B, D).
        states: [h], (B, U).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states [h_t].

    Raises:
        ValueError: A rank is not positive.

    Reference:
        Kusupati et al. (2018), arXiv:1901.02358.

    Example:

    >>> cell = FastGRNNCell(3)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 3])
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_rank: int | None = None,
        recurrent_rank: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, use_bias=use_bias, **kwargs)
        for name, rank in (
            ("kernel_rank", kernel_rank),
            ("recurrent_rank", recurrent_rank),
        ):
            if rank is not None and rank <= 0:
                raise ValueError(
                    f"`{name}` must be positive. Received: {name}={rank}"
                )
        self.activation = keras.activations.get(activation)
        self.kernel_rank = kernel_rank
        self.recurrent_rank = recurrent_rank

    @property
    def state_size(self) -> int:
        return self.units

    def build(self, input_shape: Any) -> None:
        self.kernels = self._add_factors(
            "kernel",
            (input_shape[-1], self.kernel_rank, self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernels = self._add_factors(
            "recurrent_kernel",
            (self.units, self.recurrent_rank, self.units),
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        # gates: z, h
        self.bias = self.add_bias((2 * self.units,))
        # Where the authors start: ζ = 0.73, ν = 0.02.
        self.zeta = self._add_number("zeta", 1.0)
        self.nu = self._add_number("nu", -4.0)

    def project(self, inputs: Any) -> Any:
        for kernel in self.kernels:
            inputs = product(inputs, kernel)
        return inputs

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        (h,) = states
        first, *second = self.recurrent_kernels
        recurrent = dot(h, first)
        for kernel in second:
            recurrent = dot(recurrent, kernel, drop=False)
        z = candidate = projected + recurrent
        if self.use_bias:
            b_z, b_h = tf.split(tf.convert_to_tensor(self.bias), 2)
            z, candidate = z + b_z, candidate + b_h
        z = gate("update", keras.activations.sigmoid, z)
        candidate = gate("candidate", self.activation, candidate)
        zeta, nu = tf.sigmoid(self.zeta), tf.sigmoid(self.nu)
        h = (zeta * (1 - z) + nu) * candidate + z * h
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "activation": keras.activations.serialize(self.activation),
            "kernel_rank": self.kernel_rank,
            "recurrent_rank": self.recurrent_rank,
        }

    def _add_factors(
        self, name: str, sizes: tuple[int, int | None, int], **kwargs: Any
    ) -> list[Any]:
        """Add the factors of a matrix, one or two."""
        rows, rank, columns = sizes
        if rank is None:
            return [self.add_weight((rows, columns), name=name, **kwargs)]
        return [
            self.add_weight((rows, rank), name=name, **kwargs),
            self.add_weight((rank, columns), name=f"{name}_2", **kwargs),
        ]

    def _add_number(self, name: str, value: float) -> Any:
        initializer = keras.initializers.Constant(value)
        return self.add_weight((), initializer, name=name)
