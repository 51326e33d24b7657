"""A stack of recurrent cells that looks at a memory at each step.

Longer than other files: most of it is the specification of what a user calls;
what it computes is in `loops/attention_step.py` and `loops/attention_run.py`.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, get_args

import keras
import tensorflow as tf

from keras_recurrent.layers.attention.attention import Attention
from keras_recurrent.layers.attention.memory import Memory
from keras_recurrent.layers.cells.recurrent_cell import RecurrentCell
from keras_recurrent.layers.loops.attention_run import (
    draw_dropout,
    draw_noise,
    project_inputs,
    run_attention,
)
from keras_recurrent.layers.loops.attention_step import (
    FIRST_CELL_ASKS,
    LOOKS_FIRST,
    AttentionParts,
    AttentionState,
    AttentionStep,
    Query,
)
from keras_recurrent.layers.ops.check_built import check_built
from keras_recurrent.layers.ops.product import product
from keras_recurrent.layers.parts import parts_of


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

    With `query="conditional"` it comes between two cells, which go on from the
    state of one another (the conditional GRU of Sennrich et al. 2017, for cells
    of every kind):

        s'_t     = cell_1(x_t, s_{t-1})
        c_t, a_t = attention(s'_t, memory)
        s_t      = cell_2(c_t, s'_t), and cells above it
        y_t      = tanh(W·[c_t, s_t])

    With `query="bottom_state"` the first cell asks and all cells read what is
    found (GNMT, Wu et al. 2016):

        c_t, a_t = attention(s¹_{t-1}, memory)
        s¹_t     = cell_1([x_t, c_t], s¹_{t-1})
        sⁱ_t     = cell_i([sⁱ⁻¹_t, c_t], sⁱ_{t-1})

    where s is the output of the stack. With input feeding (Luong et al. 2015,
    section 3.3) the cells read y_{t-1} as well: [x_t, …, y_{t-1}]. Without
    `units` there is no W: y_t = c_t.

    There may be several attentions, each to a memory of its own. All get the
    same query, and c_t are their contexts side by side.

    Args:
        cells: One cell, or those of a stack, the first one reads the inputs.
        attention: The attention layer, or several.
        units: Positive integer N, size of y; None for the bare context.
        query: Which state asks: "previous_state", "new_state", "conditional",
            for which there are two cells with states alike, or more, or
            "bottom_state".
        input_feeding: Whether the cells read the y of the step before.
        activation: What makes y of W·[c_t, s_t]; None for a linear one.
            Unused without `units`.
        output_attention: Whether the output is y rather than s.
        residual: Whether each cell above the first adds its inputs to its
            outputs.

    Call arguments (one step):
        inputs: (R, D), R rows. There may be several rows for each sentence
            of the memory, next to each other (hypotheses of a beam search):
            R = B·K, and the memory is not copied for them.
        state: `AttentionState` of R rows.
        memory: The memories of B sentences, from `prepare_memory`.
        training: Whether to apply dropout.
        projected: Whether the inputs come from `project_inputs`.

    Returns:
        The output y_t (R, N), or s_t (R, U) without `output_attention`; the
        alignments a_t (R, S), a list of them if there are several
        attentions; and the new state.

    Raises:
        ValueError: `query` is none of those; nothing would read what
            attention makes; cells of a residual stack differ in size, or
            conditional ones in their states; or the cell is used before it is
            built.

    References:
        Bahdanau et al. (2015), arXiv:1409.0473.
        Luong et al. (2015), arXiv:1508.04025.
        Sennrich et al. (2017), Nematus, arXiv:1703.04357, section 2.
        Wu et al. (2016), GNMT, arXiv:1609.08144, section 3.

    Example:

    >>> from keras_recurrent.layers import BahdanauAttention, GRUCell
    >>> cell = AttentionCell(GRUCell(6), BahdanauAttention(5), units=4)
    >>> cell.build((None, 3), (None, None, 8))
    >>> memory = cell.prepare_memory(tf.ones((2, 7, 8)))
    >>> state = cell.get_initial_state(memory)
    >>> output, alignments, state = cell(tf.ones((2, 3)), state, memory)
    >>> output.shape.as_list(), alignments.shape.as_list()
    ([2, 4], [2, 7])

    All time steps of known inputs:

    >>> outputs, alignments = cell.run(tf.ones((2, 9, 3)), state, memory)
    >>> outputs.shape.as_list(), alignments.shape.as_list()
    ([2, 9, 4], [2, 9, 7])
    """

    def __init__(
        self,
        cells: RecurrentCell | Sequence[RecurrentCell],
        attention: Attention | Sequence[Attention],
        units: int | None,
        query: Query = "previous_state",
        input_feeding: bool = False,
        activation: Any = "tanh",
        output_attention: bool = True,
        residual: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if query not in get_args(Query):
            raise ValueError(
                f"`query` must be one of {', '.join(get_args(Query))}. "
                f"Received: query={query!r}"
            )
        if not (output_attention or input_feeding) and (
            units or query == "new_state"
        ):
            raise ValueError(
                "Without `output_attention`, what attention makes is read "
                "with `input_feeding`, or its context with `units=None` and "
                '`query="previous_state"`. Received: '
                f"input_feeding={input_feeding}, units={units}, query={query!r}"
            )
        self.cells = [cells] if isinstance(cells, keras.Layer) else list(cells)
        if query == "conditional":
            states = [cell.state_size for cell in self.cells[:2]]
            if len(states) < 2 or states[0] != states[1]:
                raise ValueError(
                    '`query="conditional"` needs two cells with states alike. '
                    f"Received: {len(self.cells)} cells, with states of the "
                    f"sizes {states}"
                )
        first = int(query == "conditional")
        sizes = [cell.output_size for cell in self.cells[first:]]
        if residual and len(set(sizes)) > 1:
            raise ValueError(
                "The cells of a residual stack must have outputs of the same "
                f"size. Received: sizes {sizes}"
            )
        self.attentions = (
            [attention] if isinstance(attention, Attention) else list(attention)
        )
        self.units = units
        self.query = query
        self.input_feeding = input_feeding
        self.activation = keras.activations.get(activation)
        self.output_attention = output_attention
        self.residual = residual

    @property
    def layers(self) -> deque[keras.Layer]:
        """The parts, for `summary(expand_nested=True)`."""
        return parts_of(self)

    def build(self, input_shape: Any, memory_shape: Any) -> None:
        """Build all parts.

        Args:
            input_shape: (…, D).
            memory_shape: (…, M), or a list of such shapes, one for each
                attention.
        """
        memory_shapes = self._of_each(memory_shape)
        self._context_size = sum(
            attention.context_size(shape[-1])
            for attention, shape in zip(
                self.attentions, memory_shapes, strict=True
            )
        )
        size = input_shape[-1]
        if self.query in LOOKS_FIRST:
            size += self._context_size
        if self.input_feeding:
            size += self.units or self._context_size
        self.input_sizes = []
        for i, cell in enumerate(self.cells):
            if self.query == "conditional" and i == 1:
                size = self._context_size
            if self.query == "bottom_state" and i:
                size += self._context_size
            self.input_sizes.append(size)
            # Parts that come from a file are built already.
            if not cell.built:
                cell.build((None, size))
            size = cell.output_size
        asking = self.cells[0 if self.query in FIRST_CELL_ASKS else -1]
        for attention, shape in zip(
            self.attentions, memory_shapes, strict=True
        ):
            if not attention.built:
                attention.build((None, asking.output_size), shape)
        self.output_kernel = None
        if self.projects_memory:
            # W in two parts, as there is no product with the whole of it.
            self.context_kernel = self.add_weight(
                shape=(self._context_size, self.units),
                name="context_kernel",
                initializer="glorot_uniform",
            )
        elif self.units:
            size += self._context_size
        if self.units:
            self.output_kernel = self.add_weight(
                shape=(size, self.units),
                name="output_kernel",
                initializer="glorot_uniform",
            )

    @property
    def projects_memory(self) -> bool:
        """Whether `prepare_memory` multiplies the memory with its part of W.

        Where only y reads the contexts: W_c·Σ_s a_s m_s = Σ_s a_s (W_c·m_s),
        so one product serves all steps, and all hypotheses of a search.
        """
        return (
            self.units is not None
            and self.query == "new_state"
            and all(attention.sums_values for attention in self.attentions)
        )

    @property
    def attention_size(self) -> int:
        """Size N of what attention makes, y."""
        if self.units:
            return self.units
        self._check_built()
        return self._context_size

    @property
    def output_size(self) -> int:
        """Size of the output."""
        if self.output_attention:
            return self.attention_size
        return self.cells[-1].output_size

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # Keras would build it for the shapes of a prepared memory.
        self._check_built()
        return super().__call__(*args, **kwargs)

    def call(
        self,
        inputs: Any,
        state: AttentionState,
        memory: Memory | list[Memory],
        training: bool = False,
        projected: bool = False,
    ) -> tuple[Any, Any, AttentionState]:
        parts, memories = self._parts(), self._of_each(memory)
        rows = tf.shape(inputs)[0]
        dropout = draw_dropout(parts, rows, training)
        noise = draw_noise(parts, (rows,), memories, training)
        step = AttentionStep(parts, memories, dropout, projected)
        output, alignments, state = step((inputs, *noise), state)
        return output, self._one_or_all(alignments), state

    def project_inputs(self, inputs: Any, mask: Any = None) -> Any:
        """Do for inputs alone what the first cell does with them.

        A cell that has more to do than a product gets them as they are.

        Args:
            inputs: (…, D).
            mask: The dropout mask of all that the cell reads, or None.

        Returns:
            (…, P).
        """
        return project_inputs(self._parts(), inputs, mask)

    def run(
        self,
        sequences: Any,
        state: AttentionState,
        memory: Memory | list[Memory],
        training: bool = False,
    ) -> tuple[Any, Any]:
        """Run over the time steps of known inputs (teacher forcing).

        Where no step needs the attention of the one before, the cells run
        first and all time steps look at the memory at once.

        Args:
            sequences: (B, T, D).
            state: `AttentionState` of B rows.
            memory: The memories of B sentences.
            training: Whether to apply dropout.

        Returns:
            The outputs (B, T, N) and the alignments (B, T, S), a list of them
            if there are several attentions.
        """
        outputs, alignments = run_attention(
            self._parts(), sequences, state, self._of_each(memory), training
        )
        return outputs, self._one_or_all(alignments)

    def prepare_memory(
        self, values: Any, mask: Any = None
    ) -> Memory | list[Memory]:
        """Do once what all steps need of a memory.

        Args:
            values: (B, S, M); if there are several attentions a list, one for
                each.
            mask: (B, S), boolean, True at the positions that count, or None;
                if there are several attentions a list, or None.
        """
        self._check_built()
        count = len(self.attentions)
        masks = [None] * count if mask is None else self._of_each(mask)
        memories = [
            attention.prepare_memory(*pair)
            for attention, *pair in zip(
                self.attentions, self._of_each(values), masks, strict=True
            )
        ]
        if self.projects_memory:
            sizes = [memory.values.shape[-1] for memory in memories]
            kernel = tf.cast(self.context_kernel, self.compute_dtype)
            kernels = tf.split(kernel, sizes)
            memories = [
                memory._replace(values=product(memory.values, kernel))
                for memory, kernel in zip(memories, kernels, strict=True)
            ]
        return self._one_or_all(memories)

    def get_initial_state(
        self,
        memory: Memory | list[Memory],
        cells: list[list[Any]] | None = None,
    ) -> AttentionState:
        """Return the state before the first step.

        Args:
            memory: From `prepare_memory`.
            cells: The states of the cells; zeros, one row for each sentence,
                by default.
        """
        memories = self._of_each(memory)
        if cells is None:
            rows = tf.shape(memories[0].values)[0]
            cells = [
                cell.get_initial_state(batch_size=rows) for cell in self.cells
            ]
        else:
            rows = tf.shape(cells[0][0])[0]
        return AttentionState(
            cells,
            tf.zeros((rows, self.attention_size), self.compute_dtype),
            [
                attention.get_initial_state(one, rows)
                for attention, one in zip(
                    self.attentions, memories, strict=True
                )
            ],
        )

    def query_of(self, state: AttentionState) -> Any:
        """Return the output (R, U) of the stack at the step before."""
        return self._parts().query_of(state)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return super().get_config() | {
            "cells": [serialize(cell) for cell in self.cells],
            "attention": [serialize(one) for one in self.attentions],
            "units": self.units,
            "query": self.query,
            "input_feeding": self.input_feeding,
            "activation": keras.activations.serialize(self.activation),
            "output_attention": self.output_attention,
            "residual": self.residual,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "AttentionCell":
        deserialize = keras.saving.deserialize_keras_object
        return cls(
            **(
                config
                | {
                    "cells": [deserialize(cell) for cell in config["cells"]],
                    "attention": [
                        deserialize(one) for one in config["attention"]
                    ],
                }
            )
        )

    def _check_built(self) -> None:
        check_built(self, "`build(input_shape, memory_shape)`")

    def _parts(self) -> AttentionParts:
        """Return what steps need of the cell, once it is built."""
        self._check_built()
        return AttentionParts(
            self.cells,
            self.attentions,
            self.query,
            self.input_feeding,
            self.output_attention,
            self.residual,
            self.output_kernel,
            self.projects_memory,
            self.activation,
            self.input_sizes,
            self.output_size,
            self.compute_dtype,
        )

    def _of_each(self, given: Any) -> list[Any]:
        """Return a list of what is given for each attention."""
        return [given] if len(self.attentions) == 1 else list(given)

    def _one_or_all(self, results: Sequence[Any]) -> Any:
        """Return what is given back for each attention."""
        return results[0] if len(self.attentions) == 1 else list(results)
