"""The reservoir of an echo state network."""

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
class ESNCell(RecurrentCell):
    """Reservoir of an echo state network.

        h_t = (1 − λ) h_{t-1} + λ tanh(W·x_t + U·h_{t-1} + b)

    where λ is `leaky` and tanh is `activation`. Nothing in it is trained: U is
    random and sparse, and scaled so that the state forgets where it started.
    Only what reads the states is trained, so the cell is cheap where the
    recurrent part need not be learnt. Arguments are those of
    `tfa.rnn.ESNCell`; `kernel` is (D, U), `recurrent_kernel` (U, U), `bias`
    (U,).

    With `use_norm2` U is scaled by its 2-norm, its largest singular value,
    which is never below its spectral radius. (tensorflow-addons says so too,
    but took the Frobenius norm, which is larger and gave weaker reservoirs.)

    Args:
        units: Positive integer, size of the state and of the output.
        connectivity: Share of the entries of U that are not zero.
        leaky: λ, 0 < λ <= 1; below 1 the state changes more slowly.
        spectral_radius: What the largest absolute eigenvalue of U is scaled
            to (or its 2-norm with `use_norm2`).
        use_norm2: Whether to scale by the 2-norm instead.
        use_bias: Whether the cell has a bias.
        activation: Activation of the state.
        **kwargs: The other arguments of `RecurrentCell`.

    Call arguments:
        inputs: (B, D).
        states: [h], (B, U).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states [h_t].

    Reference:
        Jaeger (2001), The "echo state" approach to analysing and training
        recurrent neural networks.

    Example:

    >>> cell = ESNCell(30)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape, len(cell.trainable_variables)
    (TensorShape([2, 30]), 0)
    """

    def __init__(
        self,
        units: int,
        connectivity: float = 0.1,
        leaky: float = 1.0,
        spectral_radius: float = 0.9,
        use_norm2: bool = False,
        use_bias: bool = True,
        activation: Any = "tanh",
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            **kwargs,
        )
        self.connectivity = connectivity
        self.leaky = leaky
        self.spectral_radius = spectral_radius
        self.use_norm2 = use_norm2
        self.activation = keras.activations.get(activation)

    @property
    def state_size(self) -> int:
        return self.units

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_kernel(input_shape[-1], 1)
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.units),
            name="recurrent_kernel",
            initializer=self._reservoir,
        )
        self.bias = self.add_bias((self.units,))
        for weight in self.weights:
            weight.trainable = False

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        (h,) = states
        new = projected + dot(h, self.recurrent_kernel)
        new = gate("state", self.activation, new)
        h = (1 - self.leaky) * h + self.leaky * new
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "connectivity": self.connectivity,
            "leaky": self.leaky,
            "spectral_radius": self.spectral_radius,
            "use_norm2": self.use_norm2,
            "activation": keras.activations.serialize(self.activation),
        }

    def _reservoir(self, shape: Any, dtype: Any = None) -> Any:
        kernel = self.recurrent_initializer(shape, dtype=dtype)
        draws = keras.random.uniform(shape, dtype=dtype, seed=self.seed)
        kernel = tf.where(draws <= self.connectivity, kernel, 0.0)
        if self.use_norm2:
            size = tf.reduce_max(tf.linalg.svd(kernel, compute_uv=False))
        else:
            size = tf.reduce_max(tf.abs(tf.linalg.eigvals(kernel)))
        # Very sparse matrices may have no eigenvalue but 0.
        return tf.math.divide_no_nan(self.spectral_radius * kernel, size)
