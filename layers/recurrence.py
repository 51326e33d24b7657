"""The loop over time that every recurrent computation here runs in."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_recurrent.layers.cells.recurrent_cell import RecurrentCell

Step = Callable[[Any, Any], tuple[Any, Any]]


def recurrence(
    step: Step,
    inputs: Any,
    states: Any,
    outputs: Any,
    mask: Any = None,
    *,
    reverse: bool = False,
    zero_output_for_mask: bool = False,
) -> tuple[Any, Any, Any]:
    """Run `step` over the time steps of `inputs`.

        output_t, states_t = step(inputs_t, states_{t-1})

    Where the mask is False, the states stay as they are and the output of the
    time step before is repeated (or zero, on request), so the answer for a
    sentence does not depend on its padding, wherever that stands.

    All shapes are fixed before the loop starts and the number of iterations
    is bounded, so the loop and its gradient compile under XLA.

    Args:
        step: Maps the inputs of one time step (B, …) and the states to the
            output of the time step and the new states.
        inputs: (B, T, …), one tensor or a nested structure of them.
        states: The initial states, a nested structure of (B, …).
        outputs: The output before the first time step (what masked steps at
            the beginning return), a nested structure of (B, …).
        mask: (B, T), boolean, or None.
        reverse: Whether to go from the last time step to the first. Outputs
            keep the place of their inputs.
        zero_output_for_mask: Whether masked time steps put out zeros.

    Returns:
        The outputs of all time steps (B, T, …), the output of the time step
        that came last, and the final states.
    """
    first = tf.nest.flatten(inputs)[0]
    batch_size, static_time = first.shape[0], first.shape[1]
    time = tf.shape(first)[1]

    def array_of(sequence: Any) -> Any:
        # TensorArrays run along the first axis.
        array = tf.TensorArray(sequence.dtype, time)
        return array.unstack(_swap_batch_and_time(sequence))

    input_arrays = tf.nest.map_structure(array_of, inputs)
    mask_array = None if mask is None else array_of(mask)
    output_arrays = tf.nest.map_structure(
        lambda value: tf.TensorArray(
            value.dtype, time, element_shape=value.shape
        ),
        outputs,
    )

    def body(count: Any, arrays: Any, last: Any, states: Any) -> tuple:
        t = time - 1 - count if reverse else count
        output, new_states = step(
            tf.nest.map_structure(lambda array: array.read(t), input_arrays),
            states,
        )
        emitted = output
        if mask_array is not None:
            live = mask_array.read(t)
            output = _choose(live, output, last)
            new_states = _choose(live, new_states, states)
            emitted = output
            if zero_output_for_mask:
                zeros = tf.nest.map_structure(tf.zeros_like, output)
                emitted = _choose(live, output, zeros)
        arrays = tf.nest.map_structure(
            lambda array, value: array.write(t, value), arrays, emitted
        )
        return count + 1, arrays, output, new_states

    _, output_arrays, last, states = tf.while_loop(
        lambda count, *_: count < time,
        body,
        (tf.constant(0), output_arrays, outputs, states),
        maximum_iterations=time,
    )

    def sequence_of(array: Any, value: Any) -> Any:
        sequence = _swap_batch_and_time(array.stack())
        sequence.set_shape((batch_size, static_time, *value.shape[1:]))
        return sequence

    sequences = tf.nest.map_structure(sequence_of, output_arrays, outputs)
    return sequences, last, states


def run_cell(
    cell: RecurrentCell,
    sequences: Any,
    states: list[Any],
    mask: Any = None,
    training: bool = False,
    *,
    reverse: bool = False,
    zero_output_for_mask: bool = False,
) -> tuple[Any, Any, list[Any]]:
    """Run a cell over time, its inputs projected in one product beforehand.

    Dropout masks are drawn here, once for each sentence.

    Args:
        cell: The cell, built.
        sequences: (B, T, D).
        states: The initial states, in the order of `cell.state_size`.
        mask: (B, T), boolean, or None.
        training: Whether to apply dropout.
        reverse, zero_output_for_mask: As in `recurrence`.

    Returns:
        The outputs (B, T, U), the output of the time step that came last
        (B, U), and the final states.
    """
    batch_size = tf.shape(sequences)[0]
    dropout_mask = cell.input_mask(batch_size, sequences.shape[-1], training)
    if dropout_mask is not None:
        sequences = sequences * dropout_mask[:, tf.newaxis]
    dot = cell.recurrent_dot(batch_size, training)
    return recurrence(
        lambda projected, states: cell.step(projected, states, dot),
        cell.project(sequences),
        states,
        tf.zeros((batch_size, cell.output_size), cell.compute_dtype),
        None if mask is None else tf.cast(mask, tf.bool),
        reverse=reverse,
        zero_output_for_mask=zero_output_for_mask,
    )


def _swap_batch_and_time(sequence: Any) -> Any:
    rank = sequence.shape.rank
    return tf.transpose(sequence, (1, 0, *range(2, rank)))


def _choose(live: Any, new: Any, old: Any) -> Any:
    """Take `new` in the rows that are live and `old` in the others."""

    def choose(new: Any, old: Any) -> Any:
        rows = tf.reshape(live, (-1, *[1] * (new.shape.rank - 1)))
        return tf.where(rows, new, old)

    return tf.nest.map_structure(choose, new, old)
