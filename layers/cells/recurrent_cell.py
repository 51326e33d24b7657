"""What all our cells share: the protocol, the weights and dropout.

Longer than other files: it is the page that the author of a cell reads, half
of it docstrings, and all that a cell imports.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.ops.product import product

Dot = Callable[..., Any]
"""The product that a cell's `step` multiplies with, see `plain_dot`."""


def plain_dot(
    state: Any,
    kernel: Any,
    columns: slice = slice(None),
    drop: bool = True,
    rows: slice = slice(None),
) -> Any:
    """Multiply a state with a recurrent matrix.

    Args:
        state: (B, U).
        kernel: (U, N), a weight of the cell.
        columns, rows: What of the matrix to multiply with.
        drop: Whether `state` is subject to recurrent dropout (of which there
            is none here, see `RecurrentCell.recurrent_dot`).
    """
    if columns != slice(None) or rows != slice(None):
        kernel = kernel[rows, columns]
    return tf.matmul(state, kernel)


def masked_dot(dot: Dot, mask: Any | None) -> Dot:
    """Return `dot` with a recurrent dropout mask (B, U), if there is one."""
    if mask is None:
        return dot

    def masked(
        state: Any,
        kernel: Any,
        columns: slice = slice(None),
        drop: bool = True,
        rows: slice = slice(None),
    ) -> Any:
        state = state * mask if drop else state
        return dot(state, kernel, columns, drop=False, rows=rows)

    return masked


Gate = Callable[[str, Callable[[Any], Any], Any], Any]
"""How a cell's `step` applies an activation, see `plain_gate`."""


def plain_gate(name: str, activation: Callable[[Any], Any], x: Any) -> Any:
    """Apply the activation of a gate.

    Args:
        name: What the gate is called, for pictures.
        activation: The activation.
        x: (B, U), what it is applied to.
    """
    return activation(x)


class RecurrentCell(keras.Layer):
    """One time step of a recurrent layer, split into two parts.

        projected_t = project(x_t)                   no state in it
        output_t, states_t = step(projected_t, states_{t-1})

    `project` is everything that does not look at the state, so a layer can do
    it for all time steps in one product before its loop starts; `step` is what
    has to stay in the loop. `call` is one after the other, which is the cell
    protocol of `keras.layers.RNN`.

    A subclass defines `state_size`, `build` and `step`, and where they are
    not the usual ones `output_size` and `project`. In `step`, products with a
    recurrent matrix go through the argument `dot`, and the activations of
    gates through `gate`: there the layer puts recurrent dropout and a gradient
    of its own, and there it sees what the gates do.

    Dropout follows Gal & Ghahramani (2016, arXiv:1512.05287): our layers draw
    one mask per sentence and use it at every time step. A cell that is called
    step by step, by hand or by `keras.layers.RNN`, cannot know where a
    sentence starts and draws a new mask at each step. Masks are made in
    training only.

    Args:
        units: Positive integer, size of the output.
        use_bias: Whether the cell has a bias.
        kernel_initializer: For the weights of the inputs.
        recurrent_initializer: For the weights of the recurrent state.
        bias_initializer: For the bias.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Optional
            penalties on the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: Optional
            constraints on the weights.
        dropout: Share of the inputs to drop, 0 <= dropout < 1.
        recurrent_dropout: Share of the recurrent state to drop where it
            meets a recurrent matrix, 0 <= recurrent_dropout < 1.
        seed: Seed for the dropout masks.

    Raises:
        ValueError: `units` is not a positive integer, or a rate is not in
            [0, 1).
    """

    def __init__(
        self,
        units: int,
        *,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(units, int) or units <= 0:
            raise ValueError(
                f"`units` must be a positive integer. Received: units={units}"
            )
        for name, rate in (
            ("dropout", dropout),
            ("recurrent_dropout", recurrent_dropout),
        ):
            if not 0 <= rate < 1:
                raise ValueError(
                    f"`{name}` must be in [0, 1). Received: {name}={rate}"
                )
        self.units = units
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(
            recurrent_initializer
        )
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(
            recurrent_regularizer
        )
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.recurrent_constraint = keras.constraints.get(recurrent_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.seed = seed
        # Without dropout no generator: its state would be one more variable
        # in every checkpoint and export.
        if dropout or recurrent_dropout:
            self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def state_size(self) -> Any:
        """Sizes of the states, in the order in which `step` takes them."""
        raise NotImplementedError

    @property
    def output_size(self) -> int:
        """Size of the output, U."""
        return self.units

    @property
    def free_states(self) -> list[int]:
        """Numbers of the states that may start from anything.

        Such as from what an encoder found; the others start from
        `get_initial_state`.
        """
        return list(range(len(keras.tree.flatten(self.state_size))))

    @property
    def projects_by_product(self) -> bool:
        """Whether `project` is one product with `kernel`, and a bias."""
        return type(self).project is RecurrentCell.project

    def project(self, inputs: Any) -> Any:
        """Return what depends on the inputs alone.

        By default one product, `kernel` with the inputs, and a bias. A cell
        that overrides this may do more, and return a nested structure.

        Args:
            inputs: (B, D) or (B, T, D).

        Returns:
            (B, P) or (B, T, P).
        """
        return product(inputs, self.kernel, self.input_bias())

    def input_bias(self) -> Any | None:
        """Return the bias (P,) that `project` adds, or None."""
        return self.bias

    def step(
        self,
        projected: Any,
        states: Sequence[Any],
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any]]:
        """Return the output and the new states of one time step.

        Args:
            projected: (B, P), from `project`; if there is `noise`, the list of
                both.
            states: The states of the step before, in order.
            dot: Multiplies a state (B, U) with columns of a recurrent matrix.
            gate: Applies the activation of a gate.

        Returns:
            The output (B, U) and the list of new states.
        """
        raise NotImplementedError

    def noise(self, shape: Any, training: bool) -> Any:
        """Return what the steps need of random numbers, or None.

        They are drawn for all time steps before the loop starts, as a loop
        that is run backward must meet the same ones again.

        Args:
            shape: (T, B), or (B,) for one step.
            training: Whether the cell is being trained.

        Returns:
            One tensor (…, N) or a nested structure of them, or None.
        """
        return None

    @property
    def parallel(self) -> bool:
        """Whether the cell has a `scan`, to be used in place of a loop."""
        return False

    def scan(
        self, projected: Any, states: Sequence[Any], mask: Any = None
    ) -> tuple[Any, list[Any]]:
        """Return what `step` gives for all time steps, computed in parallel.

        Args:
            projected: (T, B, P), time-major, from `project`.
            states: The initial states, in order.
            mask: (T, B), boolean, or None. At masked time steps states stay
                and outputs are repeated.

        Returns:
            The outputs (T, B, U), arbitrary before the first time step that
            is not masked, and the list of final states.
        """
        raise NotImplementedError

    def call(
        self, inputs: Any, states: Any, training: bool = False
    ) -> tuple[Any, list[Any]]:
        batch_size = tf.shape(inputs)[0]
        mask = self.input_mask(batch_size, inputs.shape[-1], training)
        dot = self.recurrent_dot(batch_size, training)
        states = states if isinstance(states, list | tuple) else [states]
        inputs = tf.cast(inputs, self.compute_dtype)  # They may be integers.
        inputs = inputs if mask is None else inputs * mask
        projected = self.project(inputs)
        noise = self.noise((batch_size,), training)
        if noise is not None:
            projected = [projected, noise]
        return self.step(projected, states, dot)

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        return [
            tf.zeros((batch_size, size), self.compute_dtype)
            for size in keras.tree.flatten(self.state_size)
        ]

    def input_mask(
        self, batch_size: Any, input_size: int, training: bool
    ) -> Any | None:
        """Return a new dropout mask (B, D) for the inputs, or None."""
        if not (training and self.dropout):
            return None
        return self._mask(batch_size, input_size, self.dropout)

    def recurrent_mask(self, batch_size: Any, training: bool) -> Any | None:
        """Return a new dropout mask (B, U) for recurrent products, or None."""
        if not (training and self.recurrent_dropout):
            return None
        return self._mask(batch_size, self.output_size, self.recurrent_dropout)

    def recurrent_dot(self, batch_size: Any, training: bool) -> Dot:
        """Return the `dot` for `step`, with a new recurrent dropout mask."""
        mask = self.recurrent_mask(batch_size, training)
        return masked_dot(plain_dot, mask)

    def output_of(self, states: Sequence[Any]) -> Any:
        """Return the output (B, U) that belongs to these states."""
        return states[0]

    def add_kernel(self, input_size: int, gates: int) -> Any:
        """Add the input weights (D, gates * U)."""
        return self.add_weight(
            shape=(input_size, gates * self.units),
            name="kernel",
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )

    def add_recurrent_kernel(self, gates: int) -> Any:
        """Add the recurrent weights (U, gates * U)."""
        return self.add_weight(
            shape=(self.output_size, gates * self.units),
            name="recurrent_kernel",
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )

    def add_bias(self, shape: tuple[int, ...], initializer: Any = None) -> Any:
        """Add the bias, or return None if the cell has none."""
        if not self.use_bias:
            return None
        return self.add_weight(
            shape=shape,
            name="bias",
            initializer=initializer or self.bias_initializer,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )

    def get_config(self) -> dict[str, Any]:
        initializers, regularizers, constraints = (
            keras.initializers.serialize,
            keras.regularizers.serialize,
            keras.constraints.serialize,
        )
        return super().get_config() | {
            "units": self.units,
            "use_bias": self.use_bias,
            "kernel_initializer": initializers(self.kernel_initializer),
            "recurrent_initializer": initializers(self.recurrent_initializer),
            "bias_initializer": initializers(self.bias_initializer),
            "kernel_regularizer": regularizers(self.kernel_regularizer),
            "recurrent_regularizer": regularizers(self.recurrent_regularizer),
            "bias_regularizer": regularizers(self.bias_regularizer),
            "kernel_constraint": constraints(self.kernel_constraint),
            "recurrent_constraint": constraints(self.recurrent_constraint),
            "bias_constraint": constraints(self.bias_constraint),
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
        }

    def _mask(self, batch_size: Any, size: int, rate: float) -> Any:
        ones = tf.ones((batch_size, size), self.compute_dtype)
        return keras.random.dropout(ones, rate, seed=self.seed_generator)
