"""One step of an attention cell."""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from operator import add
from typing import Any, Literal, NamedTuple

import tensorflow as tf

from keras_recurrent.layers.attention.attention import Attention
from keras_recurrent.layers.attention.memory import Memory
from keras_recurrent.layers.cells.recurrent_cell import (
    Dot,
    Gate,
    RecurrentCell,
    masked_dot,
    plain_dot,
    plain_gate,
)
from keras_recurrent.layers.ops.by_sentence import by_sentence
from keras_recurrent.layers.ops.product import product


class AttentionState(NamedTuple):
    """What an `AttentionCell` carries from step to step."""

    cells: list[list[Any]]
    """The states of each cell of the stack, each (B, U)."""
    attention: Any
    """(B, N), what attention made at the step before, for input feeding."""
    looks: list[list[Any]]
    """The states of each attention, each (B, S); most have none."""


Dropout = list[tuple[Any | None, Any | None]]
"""For each cell the mask of its inputs and that of its recurrent products."""


Query = Literal["previous_state", "new_state", "conditional", "bottom_state"]
# With which attention comes before all cells,
LOOKS_FIRST = ("previous_state", "bottom_state")
# and with which it is not the whole stack that asks, but its first cell.
FIRST_CELL_ASKS = ("conditional", "bottom_state")


class AttentionParts(NamedTuple):
    """What an `AttentionCell` consists of, as its steps need it."""

    cells: Sequence[RecurrentCell]
    """The stack, the first one reads the inputs."""
    attentions: Sequence[Attention]
    """One for each memory; all get the same query."""
    query: Query
    """Which state asks."""
    input_feeding: bool
    """Whether the first cell reads y of the step before."""
    output_attention: bool
    """Whether the output is y rather than that of the stack."""
    residual: bool
    """Whether cells above the first add their inputs to their outputs."""
    output_kernel: Any
    """W, or the part of it that reads the stack; None if y is the context."""
    projects_memory: bool
    """Whether contexts come multiplied with the other part of W."""
    activation: Callable[[Any], Any]
    """What is applied to W·[…], which makes it y."""
    input_sizes: Sequence[int]
    """What each cell reads, in all."""
    output_size: int
    """Size of the output, N or U."""
    compute_dtype: str
    """What the steps compute in."""

    @property
    def variables(self) -> list[Any]:
        """The weights that steps read."""
        layers: list[Any] = [*self.cells, *self.attentions]
        read = [variable for layer in layers for variable in layer.variables]
        if self.output_kernel is not None:
            read.append(self.output_kernel)
        return read

    def query_of(self, state: AttentionState) -> Any:
        """The output (R, U) at the step before, of the stack or its bottom."""
        outputs = [
            cell.output_of(states)
            for cell, states in zip(self.cells, state.cells, strict=True)
        ]
        if self.query == "bottom_state":
            return outputs[0]
        return added_up(outputs[self.first :]) if self.residual else outputs[-1]

    @property
    def first(self) -> int:
        """The number of the cell whose output the stack above it adds to.

        With a conditional query it is the second one: the first one's new
        state is where that begins, and is asked with.
        """
        return int(self.query == "conditional")


class AttentionStep:
    """One step of an `AttentionCell`.

    Args:
        parts: What the cell consists of.
        memories: What its attentions look at, of B sentences.
        dropout: The masks of its cells.
        is_projected: Whether inputs come from `project_inputs`.
    """

    def __init__(
        self,
        parts: AttentionParts,
        memories: list[Memory],
        dropout: Dropout,
        is_projected: bool = True,
    ) -> None:
        self.parts = parts
        self.memories = memories
        self.dropout = dropout
        self.is_projected = is_projected

    def __call__(
        self,
        inputs: Any,
        state: AttentionState,
        dot: Dot = plain_dot,
        gate: Gate = plain_gate,
    ) -> tuple[Any, list[Any], AttentionState]:
        """Run one step.

        Args:
            inputs: The inputs of the cells, and by number the noise of those
                cells and of those attentions that need it.
            state: The state before the step.
            dot, gate: As in `RecurrentCell.step`.

        Returns:
            The output, the alignments of each attention and the new state.
        """
        parts = self.parts
        given, cell_noise, look_noise = inputs
        read: list[Any] = []
        contexts: list[Any] = []
        alignments: list[Any] = []
        if parts.query in LOOKS_FIRST:
            contexts, alignments = self._look(
                parts.query_of(state), state.looks, look_noise, dot
            )
            read.extend(contexts)  # each (R, M)
        if parts.input_feeding:
            read.append(state.attention)  # (R, N)
        output: Any = None
        new_states: list[list[Any]] = []
        for i, (one, states, masks) in enumerate(
            zip(parts.cells, state.cells, self.dropout, strict=True)
        ):
            below = output
            if parts.query == "conditional" and i < 2:
                # Both go on from the one state, one after the other.
                states = new_states[0] if i else state.cells[1]
                if i:
                    contexts, alignments = self._look(
                        output, state.looks, look_noise, dot
                    )
                    below = tf.concat(contexts, axis=-1)  # (R, M)
            if i == 0:
                # (R, P), or a structure of such
                projected = self._project_first(given, read, masks[0], dot)
            else:
                above = below
                if parts.query == "bottom_state":
                    above = tf.concat([below, *contexts], axis=-1)
                dropped = above if masks[0] is None else above * masks[0]
                projected = _project(one, dropped, dot)  # (R, P)
            if i in cell_noise:
                projected = [projected, cell_noise[i]]
            output, states = one.step(  # (R, U), each (R, …)
                projected, states, masked_dot(dot, masks[1]), gate
            )
            if parts.residual and i > parts.first:
                output = output + below
            new_states.append(states)
        if parts.query == "new_state":
            contexts, alignments = self._look(
                output, state.looks, look_noise, dot
            )
        attention = attention_of(  # (R, N)
            parts, contexts, output, partial(dot, drop=False), gate
        )
        looks = [
            one.next_state(look, alignment)
            for one, look, alignment in zip(
                parts.attentions, state.looks, alignments, strict=True
            )
        ]
        return (
            attention if parts.output_attention else output,
            alignments,
            AttentionState(new_states, attention, looks),
        )

    def _project_first(
        self,
        inputs: Any,
        read: list[Any],
        mask: Any,
        dot: Dot,
    ) -> Any:
        """Project what the first cell reads, the inputs and the rest."""
        cell = self.parts.cells[0]
        is_projected = self.is_projected and cell.projects_by_product
        given = read if is_projected else [inputs, *read]
        if not given:
            return inputs
        # (R, everything that is not projected yet)
        rest = given[0] if len(given) == 1 else tf.concat(given, axis=-1)
        rows = slice(self.parts.input_sizes[0] - rest.shape[-1], None)
        if mask is not None:
            rest = rest * mask[:, rows]  # what of the mask (R, D + …) it is
        if not is_projected:
            return _project(cell, rest, dot)
        return inputs + dot(rest, cell.kernel, rows=rows, drop=False)

    def _look(
        self,
        query: Any,
        looks: list[list[Any]],
        noise: dict[int, Any],
        dot: Dot,
    ) -> tuple[list[Any], list[Any]]:
        """Attend with B·K rows, K queries for each sentence.

        Args:
            query: (R, U).
            looks: The states of each attention, each (R, S).
            noise: (R, S), for those attentions that need it.
            dot: As in `RecurrentCell.step`.

        Returns:
            For each attention the context (R, M) and the alignments (R, S).
        """
        rows, sentences = tf.shape(query)[0], tf.shape(self.memories[0].keys)[0]

        def by_row(x: Any) -> Any:
            size = x.shape[-1] or tf.shape(x)[-1]
            return tf.reshape(x, (rows, size))  # (R, …)

        looked = []
        for i, (attention, memory, look) in enumerate(
            zip(self.parts.attentions, self.memories, looks, strict=True)
        ):
            # (R, A)
            projected = attention.project_query(query, partial(dot, drop=False))
            # (B, K, M) and (B, K, S)
            context, alignment = attention.attend(
                by_sentence(projected, sentences),
                memory,
                [by_sentence(one, sentences) for one in look],
                by_sentence(noise[i], sentences) if i in noise else None,
            )
            looked.append((by_row(context), by_row(alignment)))
        contexts, alignments = zip(*looked, strict=True)
        return list(contexts), list(alignments)


def attention_of(
    parts: AttentionParts,
    contexts: Sequence[Any],
    output: Any,
    dot: Callable[..., Any] = product,
    gate: Gate = plain_gate,
) -> Any:
    """Return y (…, N).

    Args:
        parts: What the cell consists of.
        contexts: What its attentions read from the memories, each (…, M).
        output: (…, U), what its stack puts out.
        dot: The product with a weight.
        gate: As in `RecurrentCell.step`.
    """
    kernel = parts.output_kernel
    if kernel is None:
        # (…, M), those of several side by side
        return contexts[0] if len(contexts) == 1 else tf.concat(contexts, -1)
    if parts.projects_memory:
        made = reduce(add, contexts, dot(output, kernel))  # (…, N)
    else:
        made = dot(tf.concat([*contexts, output], axis=-1), kernel)  # (…, N)
    return gate("attention", parts.activation, made)


def added_up(tensors: list[Any]) -> Any:
    """Add up, with `+`: `sum` would start from 0."""
    return reduce(add, tensors)


def _project(cell: RecurrentCell, inputs: Any, dot: Dot) -> Any:
    if not cell.projects_by_product:
        return cell.project(inputs)
    projected = dot(inputs, cell.kernel, drop=False)
    bias = cell.input_bias()
    return projected if bias is None else projected + bias
