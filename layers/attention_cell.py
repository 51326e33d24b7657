"""A stack of recurrent cells that looks at a memory at each step."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import keras
import tensorflow as tf

from keras_recurrent.layers.attention.bahdanau_attention import (
    BahdanauAttention,
)
from keras_recurrent.layers.attention.memory import Memory
from keras_recurrent.layers.cells.recurrent_cell import Dot, RecurrentCell
from keras_recurrent.layers.recurrence import recurrence, swap_batch_and_time
from keras_recurrent.layers.run_cell import run_cell
from keras_recurrent.layers.side_by_side import side_by_side

Query = Literal["previous_state", "new_state"]


class AttentionState(NamedTuple):
    """What an `AttentionCell` carries from step to step."""

    cells: list[list[Any]]
    """The states of each cell of the stack, each (B, U)."""
    attention: Any
    """(B, N), the output of the step before, for input feeding."""


@keras.saving.register_keras_serializable(package="keras_recurrent")
class AttentionCell(keras.Layer):
    """Recurrent cells with attention to a memory.

    With `query="previous_state"` attention comes before the cells (Bahdanau
    et al. 2015):

        c_t, a_t = attention(s_{t-1}, memory)
        s_t      = cells([x_t, c_t], s_{t-1})
        y_t      = tanh(W·[c_t, s_t])

    With `query="new_state"` it comes after them (Luong et al. 2015):

        s_t      = cells(x_t, s_{t-1})
        c_t, a_t = attention(s_t, memory)
        y_t      = tanh(W·[c_t, s_t])

    where s is the output of the topmost cell. With input feeding (Luong et
    al. 2015, section 3.3) the cells read y_{t-1} as well: [x_t, …, y_{t-1}].

    Args:
        cells: The cells of the stack, the first one reads the inputs.
        attention: The attention layer.
        units: Positive integer N, size of the output y.
        query: Which state asks: "previous_state" or "new_state".
        input_feeding: Whether the cells read the output of the step before.

    Call arguments (one step):
        inputs: (R, D), R rows. There may be several rows for each sentence
            of the memory, next to each other (hypotheses of a beam search):
            R = B·K, and the memory is not copied for them.
        state: `AttentionState` of R rows.
        memory: `Memory` of B sentences, from `prepare_memory`.
        training: Whether to apply dropout.

    Returns:
        The output y_t (R, N), the alignments a_t (R, S) and the new state.

    Raises:
        ValueError: `query` is not one of the two.

    References:
        Bahdanau et al. (2015), arXiv:1409.0473.
        Luong et al. (2015), arXiv:1508.04025.
    """

    def __init__(
        self,
        cells: Sequence[RecurrentCell],
        attention: BahdanauAttention,
        units: int,
        query: Query = "previous_state",
        input_feeding: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if query not in ("previous_state", "new_state"):
            raise ValueError(
                "`query` must be 'previous_state' or 'new_state'. "
                f"Received: query={query!r}"
            )
        self.cells = list(cells)
        self.attention = attention
        self.units = units
        self.query = query
        self.input_feeding = input_feeding
        self.output_layer = keras.layers.Dense(
            units, activation="tanh", use_bias=False, dtype=self.dtype_policy
        )

    def build(self, input_shape: Any, memory_shape: Any) -> None:
        size = input_shape[-1]
        if self.query == "previous_state":
            size += memory_shape[-1]
        if self.input_feeding:
            size += self.units
        self._input_sizes = []
        for cell in self.cells:
            self._input_sizes.append(size)
            # Parts that come from a file are built already.
            if not cell.built:
                cell.build((None, size))
            size = cell.output_size
        if not self.attention.built:
            self.attention.build((None, size), memory_shape)
        self.output_layer.build((None, memory_shape[-1] + size))

    def call(
        self,
        inputs: Any,
        state: AttentionState,
        memory: Memory,
        training: bool = False,
    ) -> tuple[Any, Any, AttentionState]:
        dropout = self._dropout(tf.shape(inputs)[0], training)
        return self._step(inputs, state, memory, dropout)

    def run(
        self,
        sequences: Any,
        state: AttentionState,
        memory: Memory,
        training: bool = False,
    ) -> tuple[Any, Any]:
        """Run over the time steps of known inputs (teacher forcing).

        Where no step needs the attention of the one before, the cells run
        first and all time steps look at the memory at once.

        Args:
            sequences: (B, T, D).
            state: `AttentionState` of B rows.
            memory: `Memory` of B sentences.
            training: Whether to apply dropout.

        Returns:
            The outputs (B, T, N) and the alignments (B, T, S).
        """
        if self.query == "new_state" and not self.input_feeding:
            for cell, states in zip(self.cells, state.cells, strict=True):
                sequences, _ = run_cell(
                    cell, sequences, states, training=training
                )
            context, alignments = self._attend(sequences, memory)
            return self._output(context, sequences), alignments

        def run(sequences: Any, state: AttentionState, memory: Memory) -> Any:
            return self._run(sequences, state, memory, training)

        return side_by_side(run, sequences, state, memory)

    def prepare_memory(self, values: Any, mask: Any = None) -> Memory:
        """Project a memory, once for all steps.

        Args:
            values: (B, S, M).
            mask: (B, S), boolean, True at the positions that count.
        """
        return Memory(values, self.attention.project_memory(values), mask)

    def get_initial_state(
        self, batch_size: Any = None, cells: list[list[Any]] | None = None
    ) -> AttentionState:
        """Return the state before the first step.

        Args:
            batch_size: Number of rows.
            cells: The states of the cells; zeros by default.
        """
        if cells is None:
            cells = [
                cell.get_initial_state(batch_size=batch_size)
                for cell in self.cells
            ]
        return AttentionState(
            cells, tf.zeros((batch_size, self.units), self.compute_dtype)
        )

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return super().get_config() | {
            "cells": [serialize(cell) for cell in self.cells],
            "attention": serialize(self.attention),
            "units": self.units,
            "query": self.query,
            "input_feeding": self.input_feeding,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "AttentionCell":
        deserialize = keras.saving.deserialize_keras_object
        return cls(
            **(
                config
                | {
                    "cells": [deserialize(cell) for cell in config["cells"]],
                    "attention": deserialize(config["attention"]),
                }
            )
        )

    def _run(
        self,
        sequences: Any,
        state: AttentionState,
        memory: Memory,
        training: bool,
    ) -> tuple[Any, Any]:
        batch_size = tf.shape(sequences)[0]
        dropout = self._dropout(batch_size, training)

        def step(inputs: Any, state: AttentionState) -> tuple[Any, Any]:
            output, alignments, state = self._step(
                inputs, state, memory, dropout
            )
            return (output, alignments), state

        steps = tf.shape(memory.values)[1]
        (outputs, alignments), _, _ = recurrence(
            step,
            swap_batch_and_time(sequences),
            state,
            (
                tf.zeros((batch_size, self.units), self.compute_dtype),
                tf.zeros((batch_size, steps), self.compute_dtype),
            ),
        )
        return swap_batch_and_time(outputs), swap_batch_and_time(alignments)

    def _step(
        self,
        inputs: Any,
        state: AttentionState,
        memory: Memory,
        dropout: "_Dropout",
    ) -> tuple[Any, Any, AttentionState]:
        read = [inputs]
        context = alignments = None
        if self.query == "previous_state":
            previous = self.cells[-1].output_of(state.cells[-1])
            context, alignments = self._attend_rows(previous, memory)
            read.append(context)
        if self.input_feeding:
            read.append(state.attention)
        output = tf.concat(read, axis=-1)
        new_states = []
        for cell, states, (mask, dot) in zip(
            self.cells, state.cells, dropout, strict=True
        ):
            output = output if mask is None else output * mask
            output, states = cell.step(cell.project(output), states, dot)
            new_states.append(states)
        if self.query == "new_state":
            context, alignments = self._attend_rows(output, memory)
        output = self._output(context, output)
        return output, alignments, AttentionState(new_states, output)

    def _attend(self, query: Any, memory: Memory) -> tuple[Any, Any]:
        return self.attention(
            query, memory.values, keys=memory.keys, memory_mask=memory.mask
        )

    def _attend_rows(self, query: Any, memory: Memory) -> tuple[Any, Any]:
        """Attend with B·K rows, K queries for each sentence."""
        sentences = tf.shape(memory.values)[0]
        steps = tf.shape(memory.values)[1]
        rows = tf.shape(query)[0]
        # `per` and not -1, which cannot be resolved for an empty batch.
        per = rows // tf.maximum(sentences, 1)
        context, alignments = self._attend(
            tf.reshape(query, (sentences, per, query.shape[-1])), memory
        )
        return (
            tf.reshape(context, (rows, memory.values.shape[-1])),
            tf.reshape(alignments, (rows, steps)),
        )

    def _output(self, context: Any, output: Any) -> Any:
        return self.output_layer(tf.concat([context, output], axis=-1))

    def _dropout(self, rows: Any, training: bool) -> "_Dropout":
        """Draw the dropout masks of all cells, for one pass over time."""
        return [
            (
                cell.input_mask(rows, size, training),
                cell.recurrent_dot(rows, training),
            )
            for cell, size in zip(self.cells, self._input_sizes, strict=True)
        ]


_Dropout = list[tuple[Any | None, Dot]]
