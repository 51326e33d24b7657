"""What the gates of a cell do, step by step."""

from typing import Any

import tensorflow as tf

from keras_recurrent.layers.cells.recurrent_cell import (
    RecurrentCell,
    plain_dot,
)
from keras_recurrent.layers.ops.recurrence import (
    recurrence,
    swap_batch_and_time,
)


def gates_of(
    cell: RecurrentCell, sequences: Any, states: list[Any], mask: Any = None
) -> dict[str, Any]:
    """Run a cell over time and return the activations of its gates.

    Args:
        cell: The cell, built.
        sequences: (B, T, D), T > 0.
        states: The initial states.
        mask: (B, T), boolean, or None; gates are zero at masked time steps.

    Returns:
        (B, T, U) each, by the names that the cell gives its gates.
    """

    def step(projected: Any, states: Any) -> tuple[Any, Any]:
        seen: dict[str, Any] = {}

        def gate(name: str, activation: Any, x: Any) -> Any:
            seen[name] = activation(x)
            return seen[name]

        _, states = cell.step(projected, states, plain_dot, gate)
        return seen, states

    # One step tells which gates there are.
    first, _ = step(cell.project(sequences[:, 0]), states)
    activations, _ = recurrence(
        step,
        cell.project(swap_batch_and_time(sequences)),
        states,
        tf.nest.map_structure(tf.zeros_like, first),
        None if mask is None else swap_batch_and_time(tf.cast(mask, tf.bool)),
        zero_output_for_mask=True,
    )
    return tf.nest.map_structure(swap_batch_and_time, activations)
