"""The gated recurrent unit."""

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
class GRUCell(RecurrentCell):
    """Gated recurrent unit.

        r_t  = σ(W_r·x_t + U_r·h_{t-1} + b_r)             reset gate
        z_t  = σ(W_z·x_t + U_z·h_{t-1} + b_z)             update gate
        h'_t = tanh(W_h·x_t + r_t ∗ (U_h·h_{t-1} + b_hh) + b_h)   candidate
        h_t  = z_t ∗ h_{t-1} + (1 − z_t) ∗ h'_t           output

    where · is a matrix product, ∗ multiplies element by element, σ is
    `recurrent_activation` and tanh is `activation`. This is `reset_after=True`,
    the form of cuDNN; with `reset_after=False` (Cho et al. 2014) the reset
    gate acts before the product:

        h'_t = tanh(W_h·x_t + U_h·(r_t ∗ h_{t-1}) + b_h)

    **Which way the update gate points.** Here, as in Keras, cuDNN and Cho et
    al. (2014), z_t = 1 keeps the past. The other convention in circulation
    (Chung et al. 2014, and many lecture notes) lets z_t weigh the present:
    h_t = (1 − z_t) ∗ h_{t-1} + z_t ∗ h'_t. Both compute the same functions:
    one's z is the other's 1 − z, and since 1 − σ(a) = σ(−a), changing the sign
    of W_z, U_z and b_z turns the weights of one into the weights of the other.

    Weights are laid out as in `keras.layers.GRUCell`: `kernel` (D, 3U) and
    `recurrent_kernel` (U, 3U), gates in the order z, r, h; `bias` (2, 3U) when
    `reset_after` (one row for the inputs, one for the state), otherwise (3U,).

    Args:
        units: Positive integer, size of the state and of the output.
        activation: Activation of the candidate.
        recurrent_activation: Activation of the gates.
        use_bias: Whether the cell has a bias.
        reset_after: Whether the reset gate acts after the recurrent product.
        **kwargs: The other arguments of `RecurrentCell`.

    Call arguments:
        inputs: (B, D).
        states: [h], (B, U).
        training: Whether to apply dropout.

    Returns:
        The output h_t (B, U) and the new states [h_t].

    References:
        Cho et al. (2014), arXiv:1406.1078, equations 5 to 8.
        Chung et al. (2014), arXiv:1412.3555.

    Example:

    >>> cell = GRUCell(3)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 3])
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        reset_after: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, use_bias=use_bias, **kwargs)
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.reset_after = reset_after

    @property
    def state_size(self) -> int:
        return self.units

    def build(self, input_shape: Any) -> None:
        # gates: z, r, h
        self.kernel = self.add_kernel(input_shape[-1], 3)
        self.recurrent_kernel = self.add_recurrent_kernel(3)
        width = 3 * self.units
        self.bias = self.add_bias((2, width) if self.reset_after else (width,))

    def input_bias(self) -> Any:
        if not (self.use_bias and self.reset_after):
            return self.bias
        # Of the state's bias, only the part that the reset gate multiplies
        # has to wait for the step.
        input_bias, state_bias = tf.unstack(tf.convert_to_tensor(self.bias))
        b_z_and_r = state_bias[: 2 * self.units]
        return input_bias + tf.pad(b_z_and_r, [(0, self.units)])

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        (h,) = states
        x_z, x_r, x_h = tf.split(projected, 3, axis=-1)
        if self.reset_after:
            recurrent = dot(h, self.recurrent_kernel)  # (B, 3U)
            u_z, u_r, u_h = tf.split(recurrent, 3, axis=-1)
            if self.use_bias:
                u_h = u_h + self.bias[1, 2 * self.units :]
            r = gate("reset", self.recurrent_activation, x_r + u_r)
            candidate = x_h + r * u_h
        else:
            kernel, split = self.recurrent_kernel, 2 * self.units
            u_z, u_r = tf.split(dot(h, kernel, slice(split)), 2, axis=-1)
            r = gate("reset", self.recurrent_activation, x_r + u_r)
            candidate = x_h + dot(r * h, kernel, slice(split, None))
        z = gate("update", self.recurrent_activation, x_z + u_z)
        candidate = gate("candidate", self.activation, candidate)
        h = z * h + (1 - z) * candidate
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        activation = keras.activations.serialize
        return super().get_config() | {
            "activation": activation(self.activation),
            "recurrent_activation": activation(self.recurrent_activation),
            "reset_after": self.reset_after,
        }
