"""The forward loop over time of a cell that is trained."""

from collections.abc import Collection
from typing import Any, NamedTuple

import tensorflow as tf

from keras_recurrent.layers.loops.arrays import (
    array_for,
    stacked,
    write,
)
from keras_recurrent.layers.loops.step_plan import (
    StepPlan,
    dropped,
    with_rows,
)
from keras_recurrent.layers.ops.recurrence import array_of, hold


class Saved(NamedTuple):
    """What the forward loop keeps for the backward loop, by number."""

    states: dict[int, Any]
    """(T + 1, B, …), from the initial to the final state."""
    factors: dict[int, Any]
    """(T, B, U), the factors of products that are no states."""
    results: dict[int, Any]
    """(T, B, N), the results of products."""
    gates: dict[int, Any]
    """(T, B, U)."""


def forward_loop(
    plan: StepPlan,
    kept_states: Collection[int],
    inputs: Any,
    states: Any,
    values: Any,
    mask: Any,
    dropout_mask: Any,
) -> tuple[Any, Saved]:
    """Run forward; return the final states and what to keep.

    Args:
        plan: What the step does.
        kept_states: Numbers of the states to keep after each time step.
        inputs: The projected inputs, each (T, B, …).
        states: The initial states, each (B, …).
        values: Those of the weights, and the constants.
        mask: (T, B), boolean, or None.
        dropout_mask: (B, U), for the recurrent products, or None.
    """
    time = tf.shape(inputs[0])[0]
    inputs = [array_of(sequence) for sequence in inputs]
    mask = None if mask is None else array_of(mask)
    kernels = plan.kernels(values)

    def body(t: Any, states: Any, kept: Saved) -> tuple:
        factors: list[Any] = []
        results: list[Any] = []
        gates: list[Any] = []

        def dot(factor: Any, *_: Any, **__: Any) -> Any:
            product = plan.products[len(results)]
            factors.append(factor)
            factor = dropped(factor, product, dropout_mask)
            results.append(tf.matmul(factor, kernels[len(results)]))
            return results[-1]

        def gate(_: str, activation: Any, x: Any) -> Any:
            gates.append(activation(x))
            return gates[-1]

        _, new_states = plan.step(
            [array.read(t) for array in inputs], states, values, dot, gate
        )
        if mask is not None:
            new_states = hold(mask.read(t), new_states, states)
        kept = Saved(
            write(kept.states, t + 1, new_states),
            write(kept.factors, t, factors),
            write(kept.results, t, results),
            write(kept.gates, t, gates),
        )
        return t + 1, new_states, kept

    state_arrays = {
        i: array_for(time + 1, with_rows(states[i], None)) for i in kept_states
    }
    kept = Saved(
        write(state_arrays, 0, states),
        {
            i: array_for(time, product.factor_spec)
            for i, product in enumerate(plan.products)
            if product.state is None
        },
        {
            i: array_for(time, plan.products[i].result_spec)
            for i in plan.kept_results
        },
        {i: array_for(time, spec) for i, spec in plan.gate_specs.items()},
    )
    _, states, kept = tf.while_loop(
        lambda t, *_: t < time,
        body,
        (tf.constant(0), states, kept),
        maximum_iterations=time,
    )
    rows = tf.shape(states[0])[0]
    return states, tf.nest.map_structure(lambda a: stacked(a, rows), kept)
