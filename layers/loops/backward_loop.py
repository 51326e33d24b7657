"""The backward loop over time of a cell that is trained."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_recurrent.layers.loops.arrays import (
    array_for,
    stacked,
    write,
)
from keras_recurrent.layers.loops.forward_loop import Saved
from keras_recurrent.layers.loops.step_gradient import step_gradient
from keras_recurrent.layers.loops.step_plan import (
    StepPlan,
    dropped,
    with_rows,
)
from keras_recurrent.layers.ops.recurrence import array_of


def backward_loop(
    plan: StepPlan,
    inputs: Any,
    values: Any,
    saved: Saved,
    last: Any,
    d_sequences: list[Any],
    wanted: list[int],
    mask: Any,
    dropout_mask: Any,
) -> tuple[Any, Any, Any, Any]:
    """Run backward.

    Args:
        plan: What the step does.
        inputs, values: As in the forward loop.
        saved: What the forward loop kept.
        last: The gradients of the final states, each (B, …).
        d_sequences: The gradients (T, B, …) of what some states were
            after each time step.
        wanted: The numbers of these states.
        mask: (T, B), boolean, or None.
        dropout_mask: (B, U), for the recurrent products, or None.

    Returns:
        The gradients of the inputs; of the initial states; of the values
        that are used other than in products; and of the results of those
        products whose gradient is not that of an input.
    """
    time = tf.shape(inputs[0])[0]
    d_inputs = dict(
        enumerate(
            array_for(time, with_rows(sequence[0], None)) for sequence in inputs
        )
    )
    d_results = {
        i: array_for(time, product.result_spec)
        for i, product in enumerate(plan.products)
        if product.input is None
    }
    inputs = [array_of(sequence) for sequence in inputs]
    saved = tf.nest.map_structure(array_of, saved)
    mask = None if mask is None else array_of(mask)
    d_sequence_arrays = [
        (i, array_of(d)) for i, d in zip(wanted, d_sequences, strict=True)
    ]
    kernels = [tf.transpose(kernel) for kernel in plan.kernels(values)]
    floating = [
        i for i, d in enumerate(last) if d is not None and d.dtype.is_floating
    ]

    def body(
        t: Any, d_states: Any, d_direct: Any, d_inputs: Any, d_results: Any
    ) -> tuple:
        d_new_states = list(last)
        for i, d in zip(floating, d_states, strict=True):
            d_new_states[i] = d
        for i, array in d_sequence_arrays:
            d_new_states[i] = d_new_states[i] + array.read(t)
        # What was not kept has no bearing on the gradient, only a shape.
        rows = tf.shape(d_new_states[floating[0]])[0]
        states = [
            saved.states[i].read(t)
            if i in saved.states
            else tf.zeros_like(d_new_states[i])
            for i in range(len(last))
        ]
        results = [
            saved.results[i].read(t)
            if i in saved.results
            else tf.zeros(
                (rows, product.result_spec.shape[1]),
                product.result_spec.dtype,
            )
            for i, product in enumerate(plan.products)
        ]
        d_step_inputs, d_old_states, d_values, d_new_results = step_gradient(
            plan,
            [array.read(t) for array in inputs],
            states,
            values,
            kernels,
            results,
            {i: array.read(t) for i, array in saved.gates.items()},
            None if mask is None else mask.read(t),
            dropout_mask,
            d_new_states,
        )
        return (
            t - 1,
            [d_old_states[i] for i in floating],
            [
                total + tf.cast(d_values[i], tf.float32)
                for total, i in zip(d_direct, plan.direct, strict=True)
            ],
            write(d_inputs, t, d_step_inputs),
            write(d_results, t, d_new_results),
        )

    _, d_states, d_direct, d_inputs, d_results = tf.while_loop(
        lambda t, *_: t >= 0,
        body,
        (
            time - 1,
            [last[i] for i in floating],
            [tf.zeros_like(values[i], tf.float32) for i in plan.direct],
            d_inputs,
            d_results,
        ),
        maximum_iterations=time,
    )
    d_values = [None] * len(values)
    for i, d in zip(plan.direct, d_direct, strict=True):
        d_values[i] = tf.cast(d, values[i].dtype)
    d_initial = [None] * len(last)
    for i, d in zip(floating, d_states, strict=True):
        d_initial[i] = d
    rows = tf.shape(last[floating[0]])[0]
    return (
        [stacked(d_inputs[i], rows) for i in range(len(inputs))],
        d_initial,
        d_values,
        {i: stacked(array, rows) for i, array in d_results.items()},
    )


def weight_gradients(
    plan: StepPlan,
    saved: Saved,
    d_inputs: Any,
    d_results: Any,
    dropout_mask: Any,
) -> list[Any]:
    """Return what products give to the gradients of the weights, or None.

    Args:
        plan: What the step does.
        saved: What the forward loop kept.
        d_inputs, d_results: From the backward loop.
        dropout_mask: (B, U), for the recurrent products, or None.
    """
    d_values: list[Any] = [None] * len(plan.weights)
    for i, product in enumerate(plan.products):
        if product.state is None:
            factor = saved.factors[i]
        else:
            factor = saved.states[product.state][:-1]
        factor = dropped(factor, product, dropout_mask)
        if product.input is None:
            d_result = d_results[i]
        else:
            d_result = d_inputs[product.input]
        d_kernel = tf.matmul(
            tf.reshape(factor, (-1, factor.shape[-1])),
            tf.reshape(d_result, (-1, d_result.shape[-1])),
            transpose_a=True,
        )
        shape = plan.weights[product.weight].shape
        ends = [
            cut.indices(size)[:2]
            for cut, size in zip(
                (product.rows, product.columns), shape, strict=True
            )
        ]
        if ends != [(0, size) for size in shape]:
            d_kernel = tf.pad(
                d_kernel,
                [
                    (start, size - stop)
                    for (start, stop), size in zip(ends, shape, strict=True)
                ],
            )
        d_values[product.weight] = total([d_values[product.weight], d_kernel])
    return d_values


def total(gradients: Sequence[Any]) -> Any:
    """Add up those gradients that there are; None if there is none."""
    there = [gradient for gradient in gradients if gradient is not None]
    return tf.add_n(there) if there else None
