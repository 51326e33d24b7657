"""The gradient of one step of a cell, from what the forward loop kept."""

import itertools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.loops.step_plan import StepPlan, dropped
from keras_recurrent.layers.ops.recurrence import hold

# Derivatives of activations, as functions of the output: for these the output
# is kept instead of being computed again.
DERIVATIVES: dict[Any, Callable[[Any], Any]] = {
    keras.activations.exponential: lambda y: y,
    keras.activations.relu: lambda y: tf.cast(y > 0, y.dtype),
    keras.activations.sigmoid: lambda y: y * (1 - y),
    keras.activations.tanh: lambda y: 1 - y * y,
}


def step_gradient(
    plan: StepPlan,
    inputs: Any,
    states: Any,
    values: Any,
    kernels: Any,
    results: Any,
    gates: Any,
    live: Any,
    dropout_mask: Any,
    d_new_states: Any,
) -> tuple[Any, Any, Any, Any]:
    """Return the gradients of one step.

    Args:
        plan: What the step does.
        inputs: The projected inputs, flat, each (B, …).
        states: The states before the step, each (B, …).
        values: Those of the weights, and the constants.
        kernels: The transposed matrices of the products.
        results: What the products gave, each (B, N).
        gates: What the gates gave, those that were kept, each (B, U).
        live: (B,), the mask, or None.
        dropout_mask: (B, U), for the recurrent products, or None.
        d_new_states: The gradients of the new states, each (B, …).

    Returns:
        The gradients of the inputs, of the states, of the values (None
        where a value is used in products only) and of the results.
    """
    numbers = itertools.count()
    gate_numbers = itertools.count()

    def dot(factor: Any, *_: Any, **__: Any) -> Any:
        i = next(numbers)
        factor = dropped(factor, plan.products[i], dropout_mask)
        return _known(_PRODUCT, results[i], factor, kernels[i])

    def gate(_: str, activation: Any, x: Any) -> Any:
        i = next(gate_numbers)
        if i not in gates:
            return activation(x)
        derivative = DERIVATIVES[activation](gates[i])
        return _known(_GATE, gates[i], x, derivative)

    floating = [i for i, s in enumerate(states) if s.dtype.is_floating]
    floating_values = [
        i for i, value in enumerate(values) if value.dtype.is_floating
    ]
    sources = [
        inputs,
        [states[i] for i in floating],
        [values[i] for i in floating_values],
        list(results),
    ]
    _, new_states = plan.step(inputs, states, values, dot, gate)
    if live is not None:
        new_states = hold(live, new_states, states)
    # Not a tape: what it makes of gradients by hand is never freed.
    d_inputs, d_floating, d_floating_values, d_results = (
        tf.nest.pack_sequence_as(
            sources,
            tf.gradients(
                [new_states[i] for i in floating],
                tf.nest.flatten(sources),
                [d_new_states[i] for i in floating],
            ),
        )
    )
    d_states = [None] * len(states)
    for i, d in zip(floating, d_floating, strict=True):
        d_states[i] = tf.zeros_like(states[i]) if d is None else d
    d_values = [None] * len(values)
    for i, d in zip(floating_values, d_floating_values, strict=True):
        d_values[i] = d
    return (
        _or_zeros(d_inputs, inputs),
        d_states,
        d_values,
        _or_zeros(d_results, results),
    )


# Gradients by hand, registered once by these names. (`tf.custom_gradient` would
# register one for each product of each trace, with its graph, for good.)
_PRODUCT, _GATE = "KerasRecurrentProduct", "KerasRecurrentGate"


def _known(gradient: str, result: Any, *inputs: Any) -> Any:
    """Return `result`, as if it were computed from `inputs`."""
    names = {"IdentityN": gradient}
    with tf.compat.v1.get_default_graph().gradient_override_map(names):
        return tf.identity_n([result, *inputs])[0]


@tf.RegisterGradient(_PRODUCT)
def _product_gradient(op: Any, d_result: Any, *_: Any) -> list[Any]:
    _, _, kernel = op.inputs  # the kernel is transposed
    return [d_result, tf.matmul(d_result, kernel), None]


@tf.RegisterGradient(_GATE)
def _gate_gradient(op: Any, d_y: Any, *_: Any) -> list[Any]:
    _, _, derivative = op.inputs
    return [None, d_y * derivative, None]


def _or_zeros(gradients: list[Any], tensors: list[Any]) -> list[Any]:
    return [
        tf.zeros_like(tensor) if gradient is None else gradient
        for gradient, tensor in zip(gradients, tensors, strict=True)
    ]
