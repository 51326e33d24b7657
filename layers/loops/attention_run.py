"""An attention cell over the time steps of known inputs."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_recurrent.layers.attention.memory import Memory
from keras_recurrent.layers.cells.recurrent_cell import Dot, Gate
from keras_recurrent.layers.loops.attention_step import (
    FIRST_CELL_ASKS,
    LOOKS_FIRST,
    AttentionParts,
    AttentionState,
    AttentionStep,
    Dropout,
    added_up,
    attention_of,
)
from keras_recurrent.layers.loops.plain_loops import are_plain
from keras_recurrent.layers.loops.plan_step import position_of
from keras_recurrent.layers.loops.run_cell import run_cell
from keras_recurrent.layers.loops.trained_loop import trained_loop
from keras_recurrent.layers.ops.linear_scan import before
from keras_recurrent.layers.ops.product import product
from keras_recurrent.layers.ops.recurrence import (
    recurrence,
    swap_batch_and_time,
)
from keras_recurrent.layers.ops.side_by_side import side_by_side

Noise = dict[int, Any]
"""The random numbers of those parts that need them, by number."""


def run_attention(
    parts: AttentionParts,
    sequences: Any,
    state: AttentionState,
    memories: list[Memory],
    training: bool,
) -> tuple[Any, list[Any]]:
    """Run an attention cell over time.

    Where no step needs the attention of the one before, the cells run first
    and all time steps look at the memory at once.

    Args:
        parts: What the cell consists of.
        sequences: (B, T, D).
        state: The state of B rows before the first step.
        memories: What its attentions look at, of B sentences.
        training: Whether to apply dropout.

    Returns:
        The outputs (B, T, N) and the alignments (B, T, S) of each attention.
    """
    if parts.query == "new_state" and not parts.input_feeding:
        return _run_cells_first(parts, sequences, state, memories, training)
    batch_size = tf.shape(sequences)[0]
    dropout = draw_dropout(parts, batch_size, training)
    shape = (tf.shape(sequences)[1], batch_size)
    sequences = swap_batch_and_time(sequences)  # (T, B, D)
    inputs = (
        project_inputs(parts, sequences, dropout[0][0]),
        *draw_noise(parts, shape, memories, training),
    )
    if training and not (tf.executing_eagerly() or are_plain()):
        asked = _positions_of_outputs(parts, state)
        # All that the step multiplies has to be known to the loop.
        if asked and all(cell.projects_by_product for cell in parts.cells):
            return _run_trained(parts, inputs, state, memories, dropout, asked)
    return _run_step_by_step(parts, inputs, state, memories, dropout)


def project_inputs(parts: AttentionParts, inputs: Any, mask: Any = None) -> Any:
    """Do for inputs alone what the first cell does with them.

    Args:
        parts: What the attention cell consists of.
        inputs: (…, D).
        mask: The dropout mask of all that the cell reads, or None.

    Returns:
        (…, P), or the inputs of a cell that has more to do than a product.
    """
    cell, size = parts.cells[0], inputs.shape[-1]
    if not cell.projects_by_product:
        return inputs
    if mask is not None:
        inputs = inputs * mask[:, :size]
    kernel, bias = tf.cast(cell.kernel, inputs.dtype), cell.input_bias()
    if bias is not None:
        bias = tf.cast(bias, inputs.dtype)
    return product(inputs, kernel[:size], bias)


def draw_noise(
    parts: AttentionParts, shape: Any, memories: list[Memory], training: bool
) -> tuple[Noise, Noise]:
    """Draw the random numbers of those parts that need them.

    Args:
        parts: What the attention cell consists of.
        shape: (T, B), or (B,) for one step.
        memories: What its attentions look at, of B sentences.
        training: Whether there is noise that is there in training only.

    Returns:
        The random numbers for cells, and those for attentions.
    """
    of_cells = [cell.noise(shape, training) for cell in parts.cells]
    of_attentions = [
        attention.noise(shape, memory, training)
        for attention, memory in zip(parts.attentions, memories, strict=True)
    ]
    cells, attentions = (
        {i: noise for i, noise in enumerate(drawn) if noise is not None}
        for drawn in (of_cells, of_attentions)
    )
    return cells, attentions


def draw_dropout(parts: AttentionParts, rows: Any, training: bool) -> Dropout:
    """Draw the dropout masks of all cells, for one pass over time."""
    return [
        (
            cell.input_mask(rows, size, training),
            cell.recurrent_mask(rows, training),
        )
        for cell, size in zip(parts.cells, parts.input_sizes, strict=True)
    ]


def _run_cells_first(
    parts: AttentionParts,
    sequences: Any,
    state: AttentionState,
    memories: list[Memory],
    training: bool,
) -> tuple[Any, list[Any]]:
    """Run where no step of the cells needs attention."""
    for i, (cell, states) in enumerate(
        zip(parts.cells, state.cells, strict=True)
    ):
        outputs, _ = run_cell(cell, sequences, states, training=training)
        sequences = sequences + outputs if parts.residual and i else outputs
    looks = [
        attention(sequences, memory, state=look, training=training)
        for attention, memory, look in zip(
            parts.attentions, memories, state.looks, strict=True
        )
    ]
    contexts, alignments = zip(*looks, strict=True)
    return attention_of(parts, contexts, sequences), list(alignments)


def _run_step_by_step(
    parts: AttentionParts,
    inputs: Any,
    state: AttentionState,
    memories: list[Memory],
    dropout: Dropout,
) -> tuple[Any, list[Any]]:
    """Run where steps of the cells need attention.

    Args:
        parts: What the cell consists of.
        inputs: From `project_inputs` and `draw_noise`, time-major.
        state: The state before the first step.
        memories: What its attentions look at.
        dropout: The masks of its cells.
    """

    def run(inputs: Any, batch: Any) -> tuple[Any, Any]:
        state, memories, dropout = batch
        rows = tf.shape(memories[0].keys)[0]
        one_step = AttentionStep(parts, memories, dropout)

        def step(inputs: Any, state: AttentionState) -> tuple[Any, Any]:
            output, alignments, state = one_step(inputs, state)
            return (output, alignments), state

        nothing = (
            tf.zeros((rows, parts.output_size), parts.compute_dtype),
            [
                tf.zeros(tf.shape(memory.keys)[:2], parts.compute_dtype)
                for memory in memories
            ],
        )
        sequences, _ = recurrence(step, inputs, state, nothing)
        return sequences, ()

    sequences, _ = side_by_side(run, inputs, (state, memories, dropout))
    return tf.nest.map_structure(swap_batch_and_time, sequences)


def _run_trained(
    parts: AttentionParts,
    inputs: Any,
    state: AttentionState,
    memories: list[Memory],
    dropout: Dropout,
    asked: Sequence[int],
) -> tuple[Any, list[Any]]:
    """Run with a gradient made for the loop, see `trained_loop`.

    Args:
        parts, inputs, state, memories, dropout: As in `_run_step_by_step`.
        asked: Numbers of the states that the query is the sum of.
    """
    steps = _Steps(parts, state, (memories, dropout))
    flat = tf.nest.flatten(state)
    places = list(range(len(tf.nest.flatten(state[:2])), len(flat)))
    outputs, _, sequences = trained_loop(
        steps,
        inputs,
        flat,
        constants=steps.constants,
        sequences_of=[*asked, *places],
        # XLA would compile a graph for each pair of lengths.
        jit_compile=bool(
            inputs[0].shape[0]
            and all(memory.keys.shape[1] for memory in memories)
        ),
    )
    query = added_up(sequences[: len(asked)])
    states = sequences[len(asked) :]
    if parts.query in LOOKS_FIRST:
        query = before(query, parts.query_of(state))
    states = [
        swap_batch_and_time(before(sequence, flat[i]))
        for i, sequence in zip(places, states, strict=True)
    ]
    # All at once, in case they are asked for.
    query = swap_batch_and_time(query)  # (B, T, U)
    looks = tf.nest.pack_sequence_as(state.looks, states)
    noise = {i: swap_batch_and_time(one) for i, one in inputs[2].items()}
    alignments = []
    for i, attention in enumerate(parts.attentions):
        queries = attention.project_query(query)
        _, alignment = attention.attend(
            queries, memories[i], looks[i], noise.get(i)
        )
        alignments.append(alignment)
    return swap_batch_and_time(outputs), alignments


def _positions_of_outputs(
    parts: AttentionParts, state: AttentionState
) -> list[int] | None:
    """Numbers of the states that sum up to what is asked with.

    That is the output of the stack, or of its first cell alone.
    None if it is no sum of states.
    """
    flat = tf.nest.flatten(state.cells)
    positions = [
        position_of(cell.output_of(states), flat)
        for cell, states in zip(parts.cells, state.cells, strict=True)
    ]
    if parts.query in FIRST_CELL_ASKS:
        needed = positions[:1]
    else:
        needed = positions if parts.residual else positions[-1:]
    known = [place for place in needed if place is not None]
    return known if len(known) == len(needed) else None


class _Steps:
    """The step of an attention cell, as `trained_loop` knows it.

    Args:
        parts: What the cell consists of.
        state: The state before the first step.
        rest: What else a step needs, memories and dropout masks.
    """

    def __init__(
        self,
        parts: AttentionParts,
        state: AttentionState,
        rest: tuple[list[Memory], Dropout],
    ) -> None:
        self.parts = parts
        self.state = state
        self.rest = rest
        self.variables = parts.variables
        self.output_size = parts.output_size
        self.compute_dtype = parts.compute_dtype

    @property
    def constants(self) -> list[Any]:
        leaves = tf.nest.flatten(self.rest)
        return [leaf for leaf in leaves if leaf is not None]

    def step(
        self, inputs: Any, states: Any, dot: Dot, gate: Gate, *constants: Any
    ) -> tuple[Any, list[Any]]:
        given = iter(constants)
        memories, dropout = tf.nest.pack_sequence_as(
            self.rest,
            [
                None if leaf is None else next(given)
                for leaf in tf.nest.flatten(self.rest)
            ],
        )
        state = tf.nest.pack_sequence_as(self.state, states)
        step = AttentionStep(self.parts, memories, dropout)
        output, _, state = step(inputs, state, dot, gate)
        return output, tf.nest.flatten(state)
