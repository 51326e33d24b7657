"""Finding out what the step of a cell does, by tracing it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from keras_recurrent.layers.loops.step_gradient import (
    DERIVATIVES,
    step_gradient,
)
from keras_recurrent.layers.loops.step_plan import (
    Product,
    StepPlan,
    with_rows,
)


def plan_step(
    cell: Any,
    weights: Sequence[Any],
    projected: Any,
    states: Sequence[Any],
    values: Sequence[Any],
) -> StepPlan:
    """See what the step of a cell does.

    It is traced twice, into graphs of their own. The first shows its products,
    its gates, and which new state is the output as well; the second, which
    values its gradient needs.

    Args:
        cell: The cell, built; or anything with its `step`, `variables`,
            `output_size` and `compute_dtype`.
        weights: Those that there can be gradients for.
        projected: (T, B, …), or a nested structure of such.
        states: The initial states, each (B, …).
        values: Those of the weights, and behind them what else the step is
            called with, each (B, …).

    Raises:
        ValueError: The step multiplies with something that is no weight.
    """
    # With a known batch size TensorFlow adds without asking whether it
    # broadcasts, and hands the one gradient of a sum to both summands.
    input_specs = [
        tf.TensorSpec((2, *a.shape[2:]), a.dtype)
        for a in tf.nest.flatten(projected)
    ]
    state_specs = [with_rows(state, 2) for state in states]
    value_specs = [
        tf.TensorSpec(value.shape, value.dtype)
        if i < len(weights)
        else with_rows(value, 2)
        for i, value in enumerate(values)
    ]
    plan = _seen_forward(
        StepPlan(cell, projected, weights),
        input_specs,
        state_specs,
        value_specs,
    )
    if plan.output_is_extra:
        shape = (2, cell.output_size)
        state_specs.append(tf.TensorSpec(shape, cell.compute_dtype))
    return _seen_backward(plan, input_specs, state_specs, value_specs)


def _seen_forward(plan: StepPlan, *specs: Any) -> StepPlan:
    """Return the plan with products, gates and output.

    Args:
        plan: With the cell alone.
        *specs: The specifications of inputs, states and values.
    """
    products: list[Product] = []
    gate_specs: dict[int, tf.TensorSpec] = {}
    output_states: list[int | None] = []

    def trace(inputs: Any, states: Any, values: Any) -> None:
        gates: list[Any] = []

        def dot(
            factor: Any,
            kernel: Any,
            columns: slice = slice(None),
            drop: bool = True,
            rows: slice = slice(None),
        ) -> Any:
            weight = position_of(kernel, plan.weights)
            if weight is None:
                raise ValueError(
                    "`dot` multiplies with weights of the cell, "
                    f"{[w.path for w in plan.weights]}. "
                    f"Received: kernel={kernel}"
                )
            result = tf.matmul(factor, values[weight][rows, columns])
            products.append(
                Product(
                    weight,
                    rows,
                    columns,
                    position_of(factor, states),
                    drop,
                    with_rows(factor, None),
                    with_rows(result, None),
                )
            )
            return result

        def gate(_: str, activation: Any, x: Any) -> Any:
            gates.append(activation(x))
            if activation in DERIVATIVES:
                gate_specs[len(gates) - 1] = with_rows(gates[-1], None)
            return gates[-1]

        output, new_states = plan.step(inputs, states, values, dot, gate)
        output_states.append(position_of(output, new_states))

    tf.function(trace, autograph=False).get_concrete_function(*specs)
    (output_state,) = output_states
    return replace(
        plan,
        products=products,
        gate_specs=gate_specs,
        output_state=len(specs[1]) if output_state is None else output_state,
        output_is_extra=output_state is None,
    )


def _seen_backward(plan: StepPlan, *specs: Any) -> StepPlan:
    """Return the plan with what the gradient of the step needs.

    Args:
        plan: From `_seen_forward`.
        *specs: The specifications of inputs, states and values.
    """
    found: list[StepPlan] = []

    def trace(
        inputs: Any, states: Any, values: Any, results: Any, gates: Any
    ) -> None:
        d_inputs, d_states, d_values, d_results = step_gradient(
            plan,
            inputs,
            states,
            values,
            [tf.transpose(kernel) for kernel in plan.kernels(values)],
            results,
            gates,
            None,
            None,
            [tf.ones_like(state) for state in states],
        )
        needed = _sources_of([d_inputs, d_states, d_values, d_results])
        factors = [product.state for product in plan.products]
        found.append(
            replace(
                plan,
                products=[
                    product._replace(input=position_of(d_result, d_inputs))
                    for product, d_result in zip(
                        plan.products, d_results, strict=True
                    )
                ],
                direct=[i for i, d in enumerate(d_values) if d is not None],
                kept_results={
                    i
                    for i, result in enumerate(results)
                    if result.ref() in needed
                },
                kept_states={
                    plan.output_state,
                    *(i for i, s in enumerate(states) if s.ref() in needed),
                    *(state for state in factors if state is not None),
                },
            )
        )

    tf.function(trace, autograph=False).get_concrete_function(
        *specs,
        [with_rows(product.result_spec, 2) for product in plan.products],
        {i: with_rows(spec, 2) for i, spec in plan.gate_specs.items()},
    )
    return found[0]


def position_of(tensor: Any, tensors: Sequence[Any]) -> int | None:
    """Return which of the tensors this one is, or None."""
    return next((i for i, t in enumerate(tensors) if t is tensor), None)


def _sources_of(targets: Any) -> set[Any]:
    """Return references to all tensors that the targets are computed from."""
    seen: set[Any] = set()
    waiting = [t for t in tf.nest.flatten(targets) if t is not None]
    while waiting:
        tensor = waiting.pop()
        if tensor.ref() in seen:
            continue
        seen.add(tensor.ref())
        # A gradient by hand ties its tensors together by an IdentityN.
        if tensor.op.type == "IdentityN":
            waiting.append(tensor.op.inputs[tensor.value_index])
        else:
            waiting.extend(tensor.op.inputs)
    return seen
