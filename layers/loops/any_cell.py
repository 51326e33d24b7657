"""Any cell over a batch of sequences: ours, others, and stacks of them."""

import inspect
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.cells.recurrent_cell import RecurrentCell
from keras_recurrent.layers.loops.run_cell import run_cell
from keras_recurrent.layers.ops.recurrence import (
    recurrence,
    swap_batch_and_time,
)


def run_any_cell(
    cell: Any,
    sequences: Any,
    states: list[Any],
    mask: Any = None,
    training: bool = False,
    constants: Any = None,
    *,
    return_sequences: bool = True,
    zero_output_for_mask: bool = False,
    unroll: bool = False,
) -> tuple[Any, list[Any]]:
    """Run a cell over time, whoever wrote it.

    A `RecurrentCell` runs by `run_cell`. A `keras.layers.StackedRNNCells` runs
    one cell after the other, each over all time steps: the numbers are the
    same, and each cell runs by the fastest way there is for it. Any other
    cell is called at each time step.

    Args:
        cell: The cell, built.
        sequences: (B, T, …), one tensor or a nested structure of them.
        states: The initial states, a list of tensors (B, …) or of nested
            structures of them.
        mask: (B, T), boolean, or None.
        training: Whether to apply dropout.
        constants: For cells that take them, what to call them with at every
            time step; else None.
        return_sequences: Whether to return the outputs of all time steps.
        zero_output_for_mask: Whether masked time steps put out zeros.
        unroll: Whether the graph repeats the step for each time step.

    Returns:
        The outputs (B, T, …) or the last one (B, …), and the final states.
    """
    if is_stack(cell):
        new_states = []
        last = len(states) - 1
        for i, (part, own) in enumerate(zip(cell.cells, states, strict=True)):
            sequences, new = run_any_cell(
                part,
                sequences,
                list(own) if isinstance(own, list | tuple) else [own],
                mask,
                training,
                constants,
                return_sequences=return_sequences or i < last,
                zero_output_for_mask=zero_output_for_mask,
                unroll=unroll,
            )
            new_states.append(_structured_as(own, new))
        return sequences, new_states
    if isinstance(cell, RecurrentCell):
        return run_cell(
            cell,
            sequences,
            states,
            mask,
            training,
            return_sequences=return_sequences,
            zero_output_for_mask=zero_output_for_mask,
            unroll=unroll,
        )
    draws_masks = hasattr(cell, "get_recurrent_dropout_mask")
    if draws_masks:
        # It draws its masks when it is first asked for them, which must not
        # be inside of the loop, and keeps them until told otherwise.
        batch_size = tf.shape(tf.nest.flatten(sequences)[0])[0]
        cell.get_dropout_mask(tf.zeros((batch_size, sequences.shape[-1])))
        cell.get_recurrent_dropout_mask(tf.nest.flatten(states)[0])
    output, states = recurrence(
        _step_of(cell, training, constants),
        tf.nest.map_structure(swap_batch_and_time, sequences),
        states,
        _nothing(cell, sequences),
        None if mask is None else swap_batch_and_time(tf.cast(mask, tf.bool)),
        return_sequences=return_sequences,
        zero_output_for_mask=zero_output_for_mask,
        unroll=unroll,
    )
    if draws_masks:
        cell.reset_dropout_mask()
        cell.reset_recurrent_dropout_mask()
    return (swap_batch_and_time(output) if return_sequences else output), states


def is_stack(cell: Any) -> bool:
    """Whether it is a plain stack, of which one cell feeds the next."""
    stack = keras.layers.StackedRNNCells
    return isinstance(cell, stack) and type(cell).call is stack.call


def output_shape_of(cell: Any) -> tuple[int, ...]:
    """Return the shape of an output of the cell, without the batch.

    It is `cell.output_size`, an integer or a shape, or else the size of the
    first state.
    """
    size = getattr(cell, "output_size", None)
    if size is None:
        size = keras.tree.flatten(cell.state_size)[0]
    return (size,) if isinstance(size, int) else tuple(size)


def _step_of(cell: Any, training: bool, constants: Any) -> Any:
    call = cell if callable(cell) else cell.call
    arguments = {}
    if "training" in inspect.signature(cell.call).parameters:
        arguments["training"] = training
    if constants is not None:
        arguments["constants"] = constants

    def step(inputs: Any, states: Any) -> tuple[Any, Any]:
        output, new_states = call(inputs, states, **arguments)
        return output, _structured_as(states, new_states)

    return step


def _structured_as(states: Any, new_states: Any) -> Any:
    """Arrange new states as the old ones are: [h] may come back as h."""
    return tf.nest.pack_sequence_as(states, tf.nest.flatten(new_states))


def _nothing(cell: Any, sequences: Any) -> Any:
    """The output before the first time step."""
    batch_size = tf.shape(tf.nest.flatten(sequences)[0])[0]
    dtype = getattr(cell, "compute_dtype", None) or keras.config.floatx()
    return tf.zeros((batch_size, *output_shape_of(cell)), dtype)
