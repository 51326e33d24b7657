"""The long short-term memory cell."""

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
class LSTMCell(RecurrentCell):
    """Long short-term memory cell.

        f_t  = σ(W_f·[h_{t-1}, x_t] + b_f)       forget gate
        i_t  = σ(W_i·[h_{t-1}, x_t] + b_i)       input gate
        o_t  = σ(W_o·[h_{t-1}, x_t] + b_o)       output gate
        C'_t = tanh(W_C·[h_{t-1}, x_t] + b_C)    candidate
        C_t  = f_t ∗ C_{t-1} + i_t ∗ C'_t        cell state
        h_t  = o_t ∗ tanh(C_t)                   output

    where [·, ·] joins two vectors, · is a matrix product, ∗ multiplies element
    by element, σ is `recurrent_activation` and tanh is `activation`.

    Options change the equations, and can be combined:

    - `peepholes`: the gates see the cell state, f_t and i_t by p_f ∗ C_{t-1}
      and p_i ∗ C_{t-1} inside of σ, o_t by p_o ∗ C_t (Gers et al. 2002);
    - `coupled_gates`: i_t = 1 − f_t, one gate less (Greff et al. 2015);
    - `projection`: h_t = W_p·(o_t ∗ tanh(C_t)), an output of its own size,
      smaller than the cell state (Sak et al. 2014);
    - `cell_clip`: C_t is kept within ±`cell_clip` (Sak et al. 2014);
    - `zoneout_cell`, `zoneout_output`: in training, each unit of C_t and of
      h_t keeps its value of the time step before with this probability; else,
      the expectation of that (Krueger et al. 2016). What o_t and h_t read of
      C_t is not subject to it.

    Weights are laid out as in `keras.layers.LSTMCell`: each W is kept as its
    rows for x_t, in `kernel` (D, 4U), and its rows for h_{t-1}, in
    `recurrent_kernel` (U, 4U); `bias` is (4U,). Gates stand in the order
    i, f, C', o, without i where gates are coupled. With a projection to size
    P, `recurrent_kernel` is (P, 4U) and `projection_kernel` (U, P).

    Args:
        units: Positive integer, size of the cell state, and of the output if
            there is no projection.
        activation: Activation of the candidate and of the cell state.
        recurrent_activation: Activation of the gates.
        use_bias: Whether the cell has a bias.
        unit_forget_bias: Whether b_f starts at `forget_bias`, so that the
            cell begins by remembering (Jozefowicz et al. 2015).
        forget_bias: What b_f starts at.
        peepholes: Whether the gates see the cell state.
        coupled_gates: Whether the input gate is one minus the forget gate.
        projection: Positive integer P, size of the output, or None.
        cell_clip: Positive bound of the cell state, or None.
        zoneout_cell: Share of the cell state to keep, 0 <= share < 1.
        zoneout_output: Share of the output to keep, 0 <= share < 1.
        **kwargs: The other arguments of `RecurrentCell`.

    Call arguments:
        inputs: (B, D).
        states: [h, C], each (B, U); with a projection, h is (B, P).
        training: Whether to apply dropout and to draw for zoneout.

    Returns:
        The output h_t (B, U), or (B, P), and the new states [h_t, C_t].

    Raises:
        ValueError: `projection` or `cell_clip` is not positive, or a share is
            not in [0, 1).

    References:
        Hochreiter & Schmidhuber (1997), Long Short-Term Memory.
        Gers et al. (2000), Learning to Forget.
        Gers et al. (2002), Learning Precise Timing with LSTM Recurrent
        Networks.
        Greff et al. (2015), arXiv:1503.04069.
        Krueger et al. (2016), arXiv:1606.01305.
        Sak et al. (2014), arXiv:1402.1128.

    Example:

    >>> cell = LSTMCell(3)
    >>> output, states = cell(tf.ones((2, 5)), cell.get_initial_state(2))
    >>> [state.shape.as_list() for state in states]
    [[2, 3], [2, 3]]
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        unit_forget_bias: bool = True,
        *,
        forget_bias: float = 1.0,
        peepholes: bool = False,
        coupled_gates: bool = False,
        projection: int | None = None,
        cell_clip: float | None = None,
        zoneout_cell: float = 0.0,
        zoneout_output: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, use_bias=use_bias, **kwargs)
        for name, value in (
            ("projection", projection),
            ("cell_clip", cell_clip),
        ):
            if value is not None and value <= 0:
                raise ValueError(
                    f"`{name}` must be positive. Received: {name}={value}"
                )
        for name, share in (
            ("zoneout_cell", zoneout_cell),
            ("zoneout_output", zoneout_output),
        ):
            if not 0 <= share < 1:
                raise ValueError(
                    f"`{name}` must be in [0, 1). Received: {name}={share}"
                )
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.forget_bias = forget_bias
        self.peepholes = peepholes
        self.coupled_gates = coupled_gates
        self.projection = projection
        self.cell_clip = cell_clip
        self.zoneout_cell = zoneout_cell
        self.zoneout_output = zoneout_output
        if (zoneout_cell or zoneout_output) and not (
            self.dropout or self.recurrent_dropout
        ):
            self.seed_generator = keras.random.SeedGenerator(self.seed)

    @property
    def has_options(self) -> bool:
        """Whether an option changes the equations."""
        return bool(
            self.peepholes
            or self.coupled_gates
            or self.projection
            or self.cell_clip
            or self.zoneout_cell
            or self.zoneout_output
        )

    @property
    def state_size(self) -> list[int]:
        return [self.output_size, self.units]

    @property
    def output_size(self) -> int:
        return self.projection or self.units

    def build(self, input_shape: Any) -> None:
        # gates: i (unless coupled), f, C', o
        gates = 3 if self.coupled_gates else 4
        self.kernel = self.add_kernel(input_shape[-1], gates)
        self.recurrent_kernel = self.add_recurrent_kernel(gates)
        self.bias = self.add_bias((gates * self.units,), self._initial_bias)
        if self.peepholes:
            names = ["forget", "output"]
            names = names if self.coupled_gates else ["input", *names]
            for name in names:
                weight = self.add_weight(
                    shape=(self.units,),
                    name=f"{name}_gate_peephole_weights",
                    initializer=self.kernel_initializer,
                )
                setattr(self, f"{name}_peephole", weight)
        if self.projection:
            self.projection_kernel = self.add_weight(
                shape=(self.units, self.projection),
                name="projection_kernel",
                initializer=self.kernel_initializer,
            )

    def noise(self, shape: Any, training: bool) -> Any:
        """Return where to keep the cell state, and where the output."""
        width = sum(self._zoneout_sizes)
        if not (training and width):
            return None
        uniform = keras.random.uniform(
            (*shape, width), dtype="float32", seed=self.seed_generator
        )
        shares = tf.repeat(
            [self.zoneout_cell, self.zoneout_output], self._zoneout_sizes
        )
        return tf.cast(uniform < shares, self.compute_dtype)

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        h, c = states
        keep = (self.zoneout_cell, self.zoneout_output)
        if isinstance(projected, list | tuple):
            projected, noise = projected
            keep = tf.split(noise, self._zoneout_sizes, axis=-1)
        gates = projected + dot(h, self.recurrent_kernel)  # (B, 4U)
        *i, f, candidate, o = tf.split(gates, gates.shape[-1] // self.units, -1)
        sigmoid = self.recurrent_activation
        if self.peepholes:
            f = f + self.forget_peephole * c
        f = gate("forget", sigmoid, f)
        if self.coupled_gates:
            i = 1 - f
        else:
            (i,) = i
            if self.peepholes:
                i = i + self.input_peephole * c
            i = gate("input", sigmoid, i)
        new_c = f * c + i * gate("candidate", self.activation, candidate)
        if self.cell_clip:
            new_c = tf.clip_by_value(new_c, -self.cell_clip, self.cell_clip)
        if self.peepholes:
            o = o + self.output_peephole * new_c
        new_h = gate("output", sigmoid, o) * self.activation(new_c)
        if self.projection:
            new_h = dot(new_h, self.projection_kernel, drop=False)
        if self.zoneout_cell:
            new_c = _zone_out(keep[0], c, new_c)
        if self.zoneout_output:
            new_h = _zone_out(keep[1], h, new_h)
        return new_h, [new_h, new_c]

    def get_config(self) -> dict[str, Any]:
        activation = keras.activations.serialize
        return super().get_config() | {
            "activation": activation(self.activation),
            "recurrent_activation": activation(self.recurrent_activation),
            "unit_forget_bias": self.unit_forget_bias,
            "forget_bias": self.forget_bias,
            "peepholes": self.peepholes,
            "coupled_gates": self.coupled_gates,
            "projection": self.projection,
            "cell_clip": self.cell_clip,
            "zoneout_cell": self.zoneout_cell,
            "zoneout_output": self.zoneout_output,
        }

    @property
    def _zoneout_sizes(self) -> list[int]:
        """How many units of the cell state and of the output to draw for."""
        return [
            self.units if self.zoneout_cell else 0,
            self.output_size if self.zoneout_output else 0,
        ]

    def _initial_bias(self, shape: Any, dtype: Any = None) -> Any:
        bias = self.bias_initializer(shape, dtype=dtype)
        if not self.unit_forget_bias:
            return bias
        before, _, after = tf.split(
            bias, [shape[0] - 3 * self.units, self.units, 2 * self.units]
        )
        forget = tf.fill((self.units,), tf.cast(self.forget_bias, bias.dtype))
        return tf.concat([before, forget, after], axis=0)


def _zone_out(keep: Any, old: Any, new: Any) -> Any:
    """Take the share `keep` of the old and the rest of the new."""
    keep = tf.stop_gradient(tf.cast(keep, new.dtype))
    return keep * old + (1 - keep) * new
