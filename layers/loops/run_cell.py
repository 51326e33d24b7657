"""A cell over a batch of sequences, by the fastest way there is."""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.cells.recurrent_cell import RecurrentCell
from keras_recurrent.layers.loops.plain_loops import are_plain
from keras_recurrent.layers.loops.trained_loop import trained_loop
from keras_recurrent.layers.loops.with_values import (
    weights_and_values,
    with_values,
)
from keras_recurrent.layers.ops.compiled import compiled
from keras_recurrent.layers.ops.linear_scan import last_of
from keras_recurrent.layers.ops.recurrence import (
    recurrence,
    swap_batch_and_time,
)
from keras_recurrent.layers.ops.side_by_side import one_loop, side_by_side

# Units from which loops side by side are repaid at inference, where there is
# less to do in a step than in training. With fewer they are faster only where
# one call follows the other at once, and nothing else runs.
_WIDE = 128


def run_cell(
    cell: RecurrentCell,
    sequences: Any,
    states: Sequence[Any],
    mask: Any = None,
    training: bool = False,
    *,
    return_sequences: bool = True,
    zero_output_for_mask: bool = False,
    unroll: bool = False,
) -> tuple[Any, list[Any]]:
    """Run a cell over time.

    - What does not depend on the state is computed for all time steps in one
      product, before the loop.
    - Dropout masks are drawn here, once for each sentence; other noise too, for
      each time step.
    - Parts of the batch run in loops of their own, side by side.
    - Cells that are linear in their state need no loop (`cell.scan`).
    - In training, the loop has a gradient made for it (`trained_loop`). If
      the number of time steps is known when the graph is made, XLA compiles
      it, and likewise a scan; if not, a graph per length would have to be
      compiled.

    Args:
        cell: The cell, built.
        sequences: (B, T, D).
        states: The initial states, in the order of `cell.state_size`.
        mask: (B, T), boolean, or None. At masked time steps states stay and
            the output of the step before is repeated, zeros before the first.
        training: Whether to apply dropout.
        return_sequences: Whether to return the outputs of all time steps.
        zero_output_for_mask: Whether masked time steps put out zeros.
        unroll: Whether the graph repeats the step for each time step; cells
            that are linear in their state have no need of it.

    Returns:
        The outputs (B, T, U) or the last one (B, U), and the final states.
    """
    run = partial(
        _run,
        cell,
        # They may be integers, or of the policy of the layer around the cell.
        tf.cast(sequences, cell.compute_dtype),
        list(states),
        mask,
        training,
        return_sequences,
        zero_output_for_mask,
        unroll,
    )
    policy = _UnderPolicy(name=cell.name, dtype=cell.dtype_policy)
    return policy(run=run)


class _UnderPolicy(keras.Layer):
    """Casts weights as its dtype policy says while a function runs."""

    def call(self, run: Callable[[], Any]) -> Any:
        return run()


def _run(
    cell: RecurrentCell,
    sequences: Any,
    states: list[Any],
    mask: Any,
    training: bool,
    return_sequences: bool,
    zero_output_for_mask: bool,
    unroll: bool,
) -> tuple[Any, list[Any]]:
    batch_size, time = tf.shape(sequences)[0], sequences.shape[1]
    input_mask = cell.input_mask(batch_size, sequences.shape[-1], training)
    if input_mask is not None:
        sequences = sequences * input_mask[:, tf.newaxis]
    # Time-major from here on: swapping the inputs is cheaper than swapping
    # their projection, which is several times wider.
    sequences = swap_batch_and_time(sequences)  # (T, B, D)
    projected = cell.project(sequences)  # (T, B, P)
    noise = cell.noise((tf.shape(sequences)[0], batch_size), training)
    if noise is not None:
        projected = [projected, noise]
    if mask is not None:
        mask = swap_batch_and_time(tf.cast(mask, tf.bool))  # (T, B)
    in_graph = not (tf.executing_eagerly() or are_plain())
    # XLA would compile a graph for each length; one is enough if it is known.
    jit_compile = bool(training and in_graph and time)
    is_trained = training and in_graph and not unroll
    if cell.parallel:
        output, states = _scan(
            cell, projected, states, mask, return_sequences, jit_compile
        )
    elif is_trained:
        output, states, _ = trained_loop(
            cell,
            projected,
            states,
            mask,
            cell.recurrent_mask(batch_size, training),
            return_sequences=return_sequences,
            jit_compile=jit_compile,
        )
    else:
        output, states = _loop(
            cell,
            projected,
            states,
            mask,
            training,
            return_sequences=return_sequences,
            zero_output_for_mask=zero_output_for_mask,
            unroll=unroll,
        )
    if mask is not None and (cell.parallel or is_trained):
        live = mask if zero_output_for_mask else _live_so_far(mask)
        live = live if return_sequences else live[-1]
        live = tf.expand_dims(live, -1)
        output = tf.where(live, output, tf.zeros_like(output))
    return (swap_batch_and_time(output) if return_sequences else output), states


def _scan(
    cell: RecurrentCell,
    projected: Any,
    states: list[Any],
    mask: Any,
    return_sequences: bool,
    jit_compile: bool,
) -> tuple[Any, list[Any]]:
    """Run a cell that is linear in its state, all time steps at once.

    At masked time steps the output is that of the step before, and arbitrary
    before the first one that is not masked.
    """
    weights, values = weights_and_values(cell)

    def scan(
        projected: Any, states: Any, mask: Any, values: Any
    ) -> tuple[Any, list[Any]]:
        with with_values(weights, values):
            return cell.scan(projected, states, mask)

    run = compiled(scan) if jit_compile else scan

    def run_part(over_time: Any, states: Any) -> tuple[Any, Any]:
        projected, mask = over_time
        return run(projected, states, mask, values)

    output, final = side_by_side(run_part, (projected, mask), states)
    if not return_sequences:
        rows = tf.shape(states[0])[0]
        nothing = tf.zeros((rows, cell.output_size), output.dtype)
        output = last_of(output, nothing)
    return output, final


def _loop(
    cell: RecurrentCell,
    projected: Any,
    states: list[Any],
    mask: Any,
    training: bool,
    *,
    return_sequences: bool,
    zero_output_for_mask: bool,
    unroll: bool,
) -> tuple[Any, list[Any]]:
    """Run a cell step by step."""

    def run(over_time: Any, states: Any) -> tuple[Any, Any]:
        projected, mask = over_time
        rows = tf.shape(states[0])[0]
        dot = cell.recurrent_dot(rows, training)
        output, states = recurrence(
            lambda inputs, states: cell.step(inputs, states, dot),
            projected,
            states,
            tf.zeros((rows, cell.output_size), cell.compute_dtype),
            mask,
            return_sequences=return_sequences,
            zero_output_for_mask=zero_output_for_mask,
            unroll=unroll,
        )
        # Outputs over time are joined along another axis than the last one.
        if return_sequences:
            return output, ([], states)
        return [], (output, states)

    wide = cell.output_size >= _WIDE
    with contextlib.nullcontext() if wide else one_loop():
        outputs, (last, states) = side_by_side(run, (projected, mask), states)
    return (outputs if return_sequences else last), states


def _live_so_far(mask: Any) -> Any:
    """Whether there has been a time step that is not masked, (T, B)."""
    return tf.cumsum(tf.cast(mask, tf.int32), axis=0) > 0
