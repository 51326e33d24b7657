"""The layer that runs a cell over time."""

from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.cells.recurrent_cell import (
    RecurrentCell,
    plain_dot,
)
from keras_recurrent.layers.recurrence import recurrence, swap_batch_and_time
from keras_recurrent.layers.run_cell import run_cell


@keras.saving.register_keras_serializable(package="keras_recurrent")
class RNN(keras.Layer):
    """Run a cell over the time steps of a batch of sequences.

    The part of the cell that does not depend on its state (`cell.project`) is
    computed for all time steps in one product before the loop; only
    `cell.step` runs step by step.

    **Masks.** Pass `mask=` explicitly. At a masked time step the states stay
    as they are and the output of the step before is repeated; a sentence gives
    the same answer with and without padding, wherever the padding stands.

    Args:
        cell: A `RecurrentCell`.
        return_sequences: Whether to return the outputs of all time steps
            rather than the last one's.
        return_state: Whether to return the final states as well.
        go_backwards: Whether to go from the last time step to the first and
            to return the outputs in that order.
        stateful: Whether each batch starts from the final states of the batch
            before; needs a fixed batch size. `reset_state` starts anew.
        zero_output_for_mask: Whether masked time steps put out zeros.

    Call arguments:
        sequences: (B, T, D).
        initial_state: The states to start from, each (B, U), in the order of
            `cell.state_size`; zeros by default.
        mask: (B, T), boolean, True at the time steps that count.
        training: Whether to apply dropout.

    Returns:
        The last output (B, U), or all of them (B, T, U). With `return_state`,
        a tuple of that and the final states.

    Raises:
        ValueError: `cell` is no `RecurrentCell`, or `initial_state` has not
            as many tensors as the cell has states.

    Example:

    >>> from keras_recurrent.layers import GRUCell
    >>> layer = RNN(GRUCell(4), return_sequences=True)
    >>> layer(tf.ones((2, 7, 3))).shape
    TensorShape([2, 7, 4])
    """

    def __init__(
        self,
        cell: RecurrentCell,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        if not isinstance(cell, RecurrentCell):
            raise ValueError(
                "`cell` must be a `keras_recurrent.layers.RecurrentCell`. "
                f"Received: cell={cell!r}"
            )
        # The weights are the cell's, so its dtype policy is the layer's.
        kwargs.setdefault("dtype", cell.dtype_policy)
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        # `keras.layers.Bidirectional` asks for it whether stateful or not.
        self.states: Any = None
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True

    def build(
        self, sequences_shape: Any, initial_state_shape: Any = None
    ) -> None:
        batch_size, _, *features = sequences_shape
        if not self.cell.built:
            self.cell.build((batch_size, *features))
        if not self.stateful:
            return
        if batch_size is None:
            raise ValueError(
                "`stateful=True` needs a fixed batch size. Received: "
                f"sequences of shape {tuple(sequences_shape)}"
            )
        self.states = [
            self.add_weight(
                shape=state.shape,
                dtype=state.dtype.name,
                initializer="zeros",
                trainable=False,
                autocast=False,
                name="state",
            )
            for state in self.get_initial_state(batch_size)
        ]

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        states = self._states(initial_state, tf.shape(sequences)[0])
        if self.go_backwards:
            sequences = tf.reverse(sequences, [1])
            mask = None if mask is None else tf.reverse(mask, [1])
        output, states = run_cell(
            self.cell,
            sequences,
            states,
            mask,
            training,
            return_sequences=self.return_sequences,
            zero_output_for_mask=self.zero_output_for_mask,
        )
        if self.stateful:
            for variable, state in zip(self.states, states, strict=True):
                variable.assign(state)
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
        sequences = tf.convert_to_tensor(sequences, self.compute_dtype)
        if not self.built:
            self.build(sequences.shape)

        def step(projected: Any, states: Any) -> tuple[Any, Any]:
            seen: dict[str, Any] = {}

            def gate(name: str, activation: Any, x: Any) -> Any:
                seen[name] = activation(x)
                return seen[name]

            _, states = self.cell.step(projected, states, plain_dot, gate)
            return seen, states

        states = self._states(initial_state, tf.shape(sequences)[0])
        if mask is not None:
            mask = tf.cast(mask, tf.bool)
        if self.go_backwards:
            sequences = tf.reverse(sequences, [1])
            mask = None if mask is None else tf.reverse(mask, [1])
        # One step tells which gates there are.
        first, _ = step(self.cell.project(sequences[:, 0]), states)
        activations, _, _ = recurrence(
            step,
            self.cell.project(swap_batch_and_time(sequences)),
            states,
            tf.nest.map_structure(tf.zeros_like, first),
            None if mask is None else swap_batch_and_time(mask),
            zero_output_for_mask=True,
        )
        activations = tf.nest.map_structure(swap_batch_and_time, activations)
        if not self.go_backwards:
            return activations
        return {
            name: tf.reverse(gate, [1]) for name, gate in activations.items()
        }

    def reset_state(self) -> None:
        """Start the next batch from zeros (for `stateful` layers)."""
        for variable in self.states or ():
            variable.assign(tf.zeros_like(variable))

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        return self.cell.get_initial_state(batch_size=batch_size)

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
        batch_size, time = sequences_shape[:2]
        size = self.cell.output_size
        output = (
            (batch_size, time, size)
            if self.return_sequences
            else (batch_size, size)
        )
        if not self.return_state:
            return output
        return (
            output,
            *((batch_size, *state.shape[1:]) for state in self._state_like()),
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "cell": keras.saving.serialize_keras_object(self.cell),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "zero_output_for_mask": self.zero_output_for_mask,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "RNN":
        cell = keras.saving.deserialize_keras_object(config["cell"])
        return cls(**(config | {"cell": cell}))

    def _state_like(self) -> list[Any]:
        """One row of initial states, for their number, shapes and dtypes."""
        return keras.tree.flatten(self.get_initial_state(1))

    def _states(self, initial_state: Any, batch_size: Any) -> list[Any]:
        if initial_state is None and self.stateful:
            return [tf.convert_to_tensor(state) for state in self.states]
        if initial_state is None:
            return self.get_initial_state(batch_size)
        states, like = keras.tree.flatten(initial_state), self._state_like()
        if len(states) != len(like):
            raise ValueError(
                f"`initial_state` must hold {len(like)} tensor(s), of shapes "
                f"{[(None, *state.shape[1:]) for state in like]}. Received: "
                f"{len(states)} tensor(s)"
            )
        return [
            tf.cast(state, spec.dtype)
            for state, spec in zip(states, like, strict=True)
        ]


# What configures the layer; every other argument is the cell's.
_LAYER_ARGUMENTS = (
    "activity_regularizer",
    "go_backwards",
    "name",
    "return_sequences",
    "return_state",
    "stateful",
    "trainable",
    "zero_output_for_mask",
)


class CellRNN(RNN):
    """An `RNN` that makes its own cell, for layers such as `LSTM`.

    Args:
        units: Positive integer, size of the output.
        **kwargs: The arguments of the cell and those of `RNN`.
    """

    cell_class: type[RecurrentCell]

    def __init__(self, units: int, **kwargs: Any) -> None:
        layer_arguments = {
            name: kwargs.pop(name)
            for name in _LAYER_ARGUMENTS
            if name in kwargs
        }
        super().__init__(self.cell_class(units, **kwargs), **layer_arguments)

    @property
    def units(self) -> int:
        return self.cell.units

    def get_config(self) -> dict[str, Any]:
        layer_config = super().get_config()
        del layer_config["cell"]
        return self.cell.get_config() | layer_config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "CellRNN":
        return cls(**config)
