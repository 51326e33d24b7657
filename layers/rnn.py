"""The layer that runs a cell over time.

Longer than other files: it has every argument and method of
`keras.layers.RNN`; the loops are in `loops/`.
"""

from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.cells.recurrent_cell import RecurrentCell
from keras_recurrent.layers.loops.any_cell import (
    output_shape_of,
    run_any_cell,
)
from keras_recurrent.layers.loops.gates import gates_of


@keras.saving.register_keras_serializable(package="keras_recurrent")
class RNN(keras.Layer):
    """Run a cell over the time steps of a batch of sequences.

    A superset of `keras.layers.RNN`. The part of one of our cells that does
    not depend on its state (`cell.project`) is computed for all time steps in
    one product before the loop; only `cell.step` runs step by step. Other
    cells, such as those of Keras or your own, are called step by step.

    **Masks.** Pass `mask=` explicitly. At a masked time step the states stay
    as they are and the output of the step before is repeated; a sentence gives
    the same answer with and without padding, wherever the padding stands.

    **States** have the structure, shapes and dtypes of what the cell's
    `get_initial_state` returns: matrices, integers and nested structures are
    as good as vectors.

    Args:
        cell: A `RecurrentCell`; or any object with `state_size` and
            `call(inputs, states)`, as `keras.layers.RNN` takes it; or a list
            of cells, of which one feeds the next.
        return_sequences: Whether to return the outputs of all time steps
            rather than the last one's.
        return_state: Whether to return the final states as well.
        go_backwards: Whether to go from the last time step to the first and
            to return the outputs in that order.
        stateful: Whether each batch starts from the final states of the batch
            before; needs a fixed batch size. `reset_state` starts anew.
        unroll: Whether the graph repeats the step for each time step rather
            than looping. It must know the number of time steps.
        zero_output_for_mask: Whether masked time steps put out zeros.

    Call arguments:
        sequences: (B, T, D); for cells that are not ours, also integers,
            more axes, or a nested structure of sequences.
        initial_state: The states to start from, as the cell arranges them;
            by default what its `get_initial_state` returns.
        mask: (B, T), boolean, True at the time steps that count.
        training: Whether to apply dropout.
        constants: What a cell that is not ours is to be called with at each
            time step, as its argument `constants`.

    Returns:
        The last output (B, U), or all of them (B, T, U). With `return_state`,
        a tuple of that and the final states.

    Raises:
        ValueError: `cell` is no cell, `initial_state` has not as many tensors
            as the cell has states, `stateful` meets another batch size than
            that of the first batch, or `unroll` an unknown number of steps.

    Example:

    >>> from keras_recurrent.layers import GRUCell
    >>> layer = RNN(GRUCell(4), return_sequences=True)
    >>> layer(tf.ones((2, 7, 3))).shape
    TensorShape([2, 7, 4])
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        if isinstance(cell, list | tuple):
            cell = keras.layers.StackedRNNCells(cell)
        for attribute in ("call", "state_size"):
            if attribute not in dir(cell):
                raise ValueError(
                    f"`cell` must have `{attribute}`. Received: cell={cell!r}"
                )
        if isinstance(cell, RecurrentCell):
            # The weights are the cell's, so its dtype policy is the layer's.
            kwargs.setdefault("dtype", cell.dtype_policy)
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        # `keras.layers.Bidirectional` asks for it whether stateful or not.
        self.states: Any = None
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True

    @property
    def state_size(self) -> list[Any]:
        size = self.cell.state_size
        return list(size) if isinstance(size, list | tuple) else [size]

    def build(
        self, sequences_shape: Any, initial_state_shape: Any = None
    ) -> None:
        if isinstance(self.cell, keras.Layer) and not self.cell.built:
            self.cell.build(
                keras.tree.map_shape_structure(
                    lambda shape: (shape[0], *shape[2:]), sequences_shape
                )
            )
            self.cell.built = True
        if not self.stateful:
            return
        batch_size, _ = _first_axes(sequences_shape)
        if batch_size is None:
            raise ValueError(
                "`stateful=True` needs a fixed batch size. Received: "
                f"sequences of shape {sequences_shape}"
            )
        states = tf.nest.map_structure(
            lambda state: keras.Variable(
                state,
                dtype=state.dtype.name,
                trainable=False,
                autocast=False,
                name="rnn_state",
            ),
            self.get_initial_state(batch_size),
        )
        # Past all tracking: as in the layers of Keras, states are no weights
        # and are not saved.
        object.__setattr__(self, "states", states)

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
        constants: Any = None,
    ) -> Any:
        first = keras.tree.flatten(sequences)[0]
        if self.unroll and first.shape[1] is None:
            raise ValueError(
                "`unroll=True` needs a known number of time steps. Received: "
                f"sequences of shape {tuple(first.shape)}"
            )
        states = self._states(initial_state, first)
        if mask is not None:
            mask = keras.tree.flatten(mask)[0]
        if self.go_backwards:
            sequences, mask = _reverse((sequences, mask))
        output, states = self._run(sequences, states, mask, training, constants)
        if self.stateful:
            tf.nest.map_structure(
                lambda variable, state: variable.assign(state),
                tf.nest.flatten(self.states),
                tf.nest.flatten(states),
            )
        output = tf.cast(output, self.compute_dtype)
        return (output, *states) if self.return_state else output

    def gates(
        self, sequences: Any, initial_state: Any = None, mask: Any = None
    ) -> dict[str, Any]:
        """Return what the gates of the cell do, for looking inside.

        Args:
            sequences: (B, T, D), T > 0.
            initial_state: As in a call.
            mask: (B, T), boolean; gates are zero at masked time steps.

        Returns:
            The activations (B, T, U) by the names that the cell gives its
            gates, such as "input", "forget", "candidate" and "output" for an
            LSTM, in the order of time also with `go_backwards`.
        """
        if not isinstance(self.cell, RecurrentCell):
            raise ValueError(
                "`gates` looks into a `keras_recurrent.layers.RecurrentCell`. "
                f"Received: cell={self.cell!r}"
            )
        sequences = tf.convert_to_tensor(sequences, self.compute_dtype)
        if not self.built:
            self.build(sequences.shape)

        states = self._states(initial_state, sequences)
        if self.go_backwards:
            sequences, mask = _reverse((sequences, mask))
        # A layer, so that Keras casts the weights as in a call of this one.
        look = keras.layers.Lambda(
            lambda x: gates_of(self.cell, x, states, mask),
            dtype=self.dtype_policy,
        )
        activations = look(sequences)
        return _reverse(activations) if self.go_backwards else activations

    def reset_state(self) -> None:
        """Start the next batch anew (for `stateful` layers)."""
        if self.states is None:
            return
        variables = tf.nest.flatten(self.states)
        initial = self.get_initial_state(variables[0].shape[0])
        for variable, state in zip(
            variables, tf.nest.flatten(initial), strict=True
        ):
            variable.assign(state)

    def reset_states(self) -> None:
        """The name that `reset_state` had in Keras 2."""
        self.reset_state()

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        if hasattr(self.cell, "get_initial_state"):
            states = self.cell.get_initial_state(batch_size=batch_size)
            return list(states) if keras.tree.is_nested(states) else [states]
        dtype = getattr(self.cell, "compute_dtype", keras.config.floatx())
        return [tf.zeros((batch_size, size), dtype) for size in self.state_size]

    def compute_mask(self, sequences: Any, mask: Any = None) -> Any:
        mask = keras.tree.flatten(mask)[0]
        output_mask = None
        if self.return_sequences and mask is not None:
            output_mask = tf.reverse(mask, [1]) if self.go_backwards else mask
        if not self.return_state:
            return output_mask
        return [output_mask, *(None for _ in self._state_like())]

    def compute_output_shape(
        self, sequences_shape: Any, initial_state_shape: Any = None
    ) -> Any:
        batch_size, time = _first_axes(sequences_shape)
        axes = (batch_size, time) if self.return_sequences else (batch_size,)
        output = (*axes, *output_shape_of(self.cell))
        if not self.return_state:
            return output
        states = tf.nest.map_structure(
            lambda state: (batch_size, *state.shape[1:]), self._state_like()
        )
        return output, *states

    def compute_output_spec(
        self, sequences: Any, *args: Any, **kwargs: Any
    ) -> Any:
        # The states have dtypes of their own.
        shapes = self.compute_output_shape(
            tf.nest.map_structure(lambda x: tuple(x.shape), sequences)
        )
        if not self.return_state:
            return keras.KerasTensor(shapes, self.compute_dtype)
        output, *_ = shapes
        states = tf.nest.map_structure(
            lambda state: keras.KerasTensor(
                (output[0], *state.shape[1:]), state.dtype.name
            ),
            self._state_like(),
        )
        return keras.KerasTensor(output, self.compute_dtype), *states

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "cell": keras.saving.serialize_keras_object(self.cell),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "RNN":
        cell = keras.saving.deserialize_keras_object(
            config["cell"], custom_objects=custom_objects
        )
        return cls(**(config | {"cell": cell}))

    def _run(
        self,
        sequences: Any,
        states: list[Any],
        mask: Any,
        training: bool,
        constants: Any,
    ) -> tuple[Any, list[Any]]:
        return run_any_cell(
            self.cell,
            sequences,
            states,
            mask,
            training,
            constants,
            return_sequences=self.return_sequences,
            zero_output_for_mask=self.zero_output_for_mask,
            unroll=self.unroll,
        )

    def _state_like(self) -> list[Any]:
        """One row of initial states, for their structure and dtypes."""
        return self.get_initial_state(1)

    def _states(self, initial_state: Any, first: Any) -> list[Any]:
        """Return the states to start from, arranged as the cell does."""
        if self.stateful:
            size = tf.nest.flatten(self.states)[0].shape[0]
            if first.shape[0] not in (None, size):
                raise ValueError(
                    "If an RNN is stateful, the batch size must stay what it "
                    f"was in the first batch, {size}. Received: sequences of "
                    f"shape {tuple(first.shape)}"
                )
        if initial_state is None and self.stateful:
            return tf.nest.map_structure(tf.convert_to_tensor, self.states)
        if initial_state is None:
            return self.get_initial_state(tf.shape(first)[0])
        states = keras.tree.flatten(initial_state)
        like = tf.nest.flatten(self._state_like())
        if len(states) != len(like):
            raise ValueError(
                f"`initial_state` must hold {len(like)} tensor(s), of shapes "
                f"{[(None, *state.shape[1:]) for state in like]}. Received: "
                f"{len(states)} tensor(s)"
            )
        return tf.nest.pack_sequence_as(
            self._state_like(),
            [
                tf.cast(state, spec.dtype)
                for state, spec in zip(states, like, strict=True)
            ],
        )


def _first_axes(shapes: Any) -> tuple[int | None, int | None]:
    """Return B and T of a shape, or of the first of nested ones."""
    found: list[Any] = []
    keras.tree.map_shape_structure(found.append, shapes)
    return found[0][0], found[0][1]


def _reverse(sequences: Any) -> Any:
    """Reverse the time of (B, T, …), in a nested structure; None stays."""
    return tf.nest.map_structure(
        lambda x: None if x is None else tf.reverse(x, [1]), sequences
    )
