"""A stack of recurrent cells that looks at a memory at each step."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import keras
import tensorflow as tf

from keras_recurrent.layers.attention.attention import Attention
from keras_recurrent.layers.attention.memory import Memory
from keras_recurrent.layers.cells.recurrent_cell import (
    Dot,
    Gate,
    RecurrentCell,
    plain_dot,
    plain_gate,
)
from keras_recurrent.layers.linear_scan import before
from keras_recurrent.layers.product import product
from keras_recurrent.layers.recurrence import recurrence, swap_batch_and_time
from keras_recurrent.layers.run_cell import run_cell
from keras_recurrent.layers.side_by_side import side_by_side
from keras_recurrent.layers.trained_loop import trained_loop

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
        attention: Attention,
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
        noise = self._noise((tf.shape(inputs)[0],), training)
        inputs = self._project_inputs(inputs, dropout)
        return self._step((inputs, noise), state, memory, dropout)

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
        inputs = (
            self._project_inputs(swap_batch_and_time(sequences), dropout),
            self._noise((tf.shape(sequences)[1], batch_size), training),
        )
        top = _position(self._top(state), state.cells[-1])
        in_graph = not tf.executing_eagerly()
        if training and in_graph and self._is_linear and top is not None:
            return self._run_trained(inputs, state, memory, dropout, top)

        def step(inputs: Any, state: AttentionState) -> tuple[Any, Any]:
            output, alignments, state = self._step(
                inputs, state, memory, dropout
            )
            return (output, alignments), state

        steps = tf.shape(memory.values)[1]
        (outputs, alignments), _, _ = recurrence(
            step,
            inputs,
            state,
            (
                tf.zeros((batch_size, self.units), self.compute_dtype),
                tf.zeros((batch_size, steps), self.compute_dtype),
            ),
        )
        return swap_batch_and_time(outputs), swap_batch_and_time(alignments)

    def _run_trained(
        self,
        inputs: Any,
        state: AttentionState,
        memory: Memory,
        dropout: "_Dropout",
        top: int,
    ) -> tuple[Any, Any]:
        """Run with a gradient made for the loop, see `trained_loop`.

        Args:
            inputs: From `_project_inputs` and `_noise`, time-major.
            state, memory, dropout: Of the run.
            top: Which state of the topmost cell is its output.
        """
        steps = _Steps(self, state, (memory, dropout))
        first_of_top = sum(len(states) for states in state.cells[:-1])
        outputs, _, (asked,) = trained_loop(
            steps,
            inputs,
            tf.nest.flatten(state),
            constants=steps.constants,
            sequences_of=[first_of_top + top],
            # XLA would compile a graph for each pair of lengths.
            jit_compile=bool(inputs[0].shape[0] and memory.values.shape[1]),
        )
        if self.query == "previous_state":
            asked = before(asked, self._top(state))
        # All at once, in case they are asked for.
        _, alignments = self._attend(swap_batch_and_time(asked), memory)
        return swap_batch_and_time(outputs), alignments

    def _step(
        self,
        inputs: Any,
        state: AttentionState,
        memory: Memory,
        dropout: "_Dropout",
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, Any, AttentionState]:
        """Run one step.

        Args:
            inputs: From `_project_inputs` and `_noise`.
            state, memory, dropout: Of the step.
            dot, gate: As in `RecurrentCell.step`.
        """
        projected, noise = inputs
        read, context, alignments = [], None, None
        if self.query == "previous_state":
            context, alignments = self._attend_rows(
                self._top(state), memory, dot
            )
            read.append(context)
        if self.input_feeding:
            read.append(state.attention)
        output, new_states = None, []
        for i, (cell, states, masks) in enumerate(
            zip(self.cells, state.cells, dropout, strict=True)
        ):
            if output is None:
                projected = self._project_rest(projected, read, masks, dot)
            else:
                output = output if masks[0] is None else output * masks[0]
                projected = _project(cell, output, dot)
            if i in noise:
                projected = [projected, noise[i]]
            output, states = cell.step(
                projected, states, _with_mask(dot, masks[1]), gate
            )
            new_states.append(states)
        if self.query == "new_state":
            context, alignments = self._attend_rows(output, memory, dot)
        kernel = self.output_layer.kernel
        size = memory.values.shape[-1]
        output = dot(context, kernel, rows=slice(size), drop=False) + dot(
            output, kernel, rows=slice(size, None), drop=False
        )
        output = gate("attention", keras.activations.tanh, output)
        return output, alignments, AttentionState(new_states, output)

    def _top(self, state: AttentionState) -> Any:
        """The output of the topmost cell."""
        return self.cells[-1].output_of(state.cells[-1])

    @property
    def _is_linear(self) -> bool:
        """Whether all cells project their inputs by one product."""
        return all(_is_linear(cell) for cell in self.cells)

    def _noise(self, shape: Any, training: bool) -> dict[int, Any]:
        """Draw the random numbers of those cells that need them."""
        drawn = {
            i: cell.noise(shape, training) for i, cell in enumerate(self.cells)
        }
        return {i: noise for i, noise in drawn.items() if noise is not None}

    def _project_inputs(self, inputs: Any, dropout: "_Dropout") -> Any:
        """Do for the inputs (…, B, D) alone what can be done before a loop."""
        cell, size = self.cells[0], inputs.shape[-1]
        mask, _ = dropout[0]
        if mask is not None:
            inputs = inputs * mask[:, :size]
        if not _is_linear(cell):
            return inputs
        return product(
            inputs, tf.convert_to_tensor(cell.kernel)[:size], cell.input_bias()
        )

    def _project_rest(
        self, inputs: Any, read: list[Any], masks: Any, dot: Dot
    ) -> Any:
        """Project what else the first cell reads, behind the inputs."""
        cell, mask = self.cells[0], masks[0]
        rest = sum(part.shape[-1] for part in read)
        end = self._input_sizes[0] - rest
        if not _is_linear(cell):
            parts = [inputs]
            for part in read:
                size = part.shape[-1]
                parts.append(
                    part if mask is None else part * mask[:, end : end + size]
                )
                end += size
            return cell.project(tf.concat(parts, axis=-1))
        for part in read:
            rows = slice(end, end + part.shape[-1])
            part = part if mask is None else part * mask[:, rows]
            inputs = inputs + dot(part, cell.kernel, rows=rows, drop=False)
            end = rows.stop
        return inputs

    def _attend(self, query: Any, memory: Memory) -> tuple[Any, Any]:
        return self.attention(
            query, memory.values, keys=memory.keys, memory_mask=memory.mask
        )

    def _attend_rows(
        self, query: Any, memory: Memory, dot: Dot
    ) -> tuple[Any, Any]:
        """Attend with B·K rows, K queries for each sentence."""
        query = self.attention.project_query(query, partial(dot, drop=False))
        sentences = tf.shape(memory.values)[0]
        steps = tf.shape(memory.values)[1]
        rows = tf.shape(query)[0]
        # `per` and not -1, which cannot be resolved for an empty batch.
        per = rows // tf.maximum(sentences, 1)
        context, alignments = self.attention.attend(
            tf.reshape(query, (sentences, per, query.shape[-1])),
            memory.values,
            memory.keys,
            memory.mask,
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
                cell.recurrent_mask(rows, training),
            )
            for cell, size in zip(self.cells, self._input_sizes, strict=True)
        ]


# For each cell the mask of its inputs and that of its recurrent products.
_Dropout = list[tuple[Any | None, Any | None]]


class _Steps:
    """The step of an `AttentionCell`, as `trained_loop` knows it.

    Args:
        cell: The cell.
        state: The state before the first step.
        rest: What else a step needs, memory and dropout masks.
    """

    def __init__(
        self,
        cell: AttentionCell,
        state: AttentionState,
        rest: tuple[Memory, _Dropout],
    ) -> None:
        self.cell = cell
        self.state = state
        self.rest = rest
        self.variables = cell.variables
        self.output_size = cell.units
        self.compute_dtype = cell.compute_dtype

    @property
    def constants(self) -> list[Any]:
        leaves = tf.nest.flatten(self.rest)
        return [leaf for leaf in leaves if leaf is not None]

    def step(
        self, inputs: Any, states: Any, dot: Dot, gate: Gate, *constants: Any
    ) -> tuple[Any, list[Any]]:
        given = iter(constants)
        memory, dropout = tf.nest.pack_sequence_as(
            self.rest,
            [
                None if leaf is None else next(given)
                for leaf in tf.nest.flatten(self.rest)
            ],
        )
        state = tf.nest.pack_sequence_as(self.state, states)
        output, _, state = self.cell._step(
            inputs, state, memory, dropout, dot, gate
        )
        return output, tf.nest.flatten(state)


def _is_linear(cell: RecurrentCell) -> bool:
    return type(cell).project is RecurrentCell.project


def _project(cell: RecurrentCell, inputs: Any, dot: Dot) -> Any:
    if not _is_linear(cell):
        return cell.project(inputs)
    projected = dot(inputs, cell.kernel, drop=False)
    bias = cell.input_bias()
    return projected if bias is None else projected + bias


def _with_mask(dot: Dot, mask: Any | None) -> Dot:
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


def _position(tensor: Any, tensors: list[Any]) -> int | None:
    return next((i for i, t in enumerate(tensors) if t is tensor), None)
