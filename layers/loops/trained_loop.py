"""The loop over time with a gradient made for it.

Differentiating a loop step by step repeats in every step what could be done
once. The gradient made here keeps in its loop only what must be there, the
products that carry the gradient from one state to the state before:

- gates, and products with recurrent matrices as far as they are needed, are
  kept from the forward loop, so that the backward loop repeats only the cheap
  arithmetic of the step;
- the gradient of a recurrent matrix is one product after the loop, over all
  time steps at once, rather than a sum of one product for each step.

It holds for every cell that multiplies with recurrent matrices through `dot`
and applies the activations of its gates through `gate`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from keras_recurrent.layers.loops.backward_loop import (
    backward_loop,
    total,
    weight_gradients,
)
from keras_recurrent.layers.loops.forward_loop import Saved, forward_loop
from keras_recurrent.layers.loops.plan_step import plan_step
from keras_recurrent.layers.loops.with_values import weights_and_values
from keras_recurrent.layers.ops.compiled import compiled
from keras_recurrent.layers.ops.known_shape import known_shape
from keras_recurrent.layers.ops.side_by_side import cut, join, sizes_of_parts


def trained_loop(
    cell: Any,
    projected: Any,
    states: Sequence[Any],
    mask: Any = None,
    dropout_mask: Any = None,
    constants: Sequence[Any] = (),
    *,
    return_sequences: bool = True,
    sequences_of: Sequence[int] = (),
    jit_compile: bool = False,
) -> tuple[Any, list[Any], list[Any]]:
    """Run a cell over time, with a gradient made for the loop.

    Args:
        cell: The cell, built; or anything with its `step`, `variables`,
            `output_size` and `compute_dtype`.
        projected: (T, B, …), time-major, from `cell.project`, one tensor or a
            nested structure of them.
        states: The initial states, each (B, …).
        mask: (T, B), boolean, or None. At masked time steps states stay.
        dropout_mask: (B, U), for the recurrent products, or None.
        constants: What else `step` is called with at each time step, behind
            its other arguments, each (B, …). There are gradients for those
            of floating-point numbers.
        return_sequences: Whether the outputs are needed.
        sequences_of: Numbers of the states that are needed too, after each
            time step.
        jit_compile: Whether XLA compiles the two loops.

    Returns:
        The outputs (T, B, U), or the last one (B, U) without
        `return_sequences`; the final states; and (T, B, …) for each state of
        `sequences_of`. At masked time steps the output of the step before is
        repeated. Before the first time step that is not masked the output is
        arbitrary.

    Raises:
        NotImplementedError: The gradient of the gradient was asked for.
    """
    weights, values = weights_and_values(cell)
    constants = [tf.convert_to_tensor(constant) for constant in constants]
    plan = plan_step(cell, weights, projected, states, [*values, *constants])
    arguments = [tf.nest.flatten(projected), list(states), values, constants]
    inputs = arguments[0]
    if plan.output_is_extra:
        batch_size = tf.shape(states[0])[0]
        arguments[1].append(
            tf.zeros((batch_size, cell.output_size), cell.compute_dtype)
        )
    wanted = list(sequences_of)
    if return_sequences:
        wanted.append(plan.output_state)
    kept_states = {*plan.kept_states, *wanted}
    # Functions, so that parts of the batch share them.
    function = (
        compiled if jit_compile else partial(tf.function, autograph=False)
    )

    @function
    def forward(*arguments: Any) -> tuple[Any, Saved]:
        return forward_loop(plan, kept_states, *arguments)

    @function
    def backward(*arguments: Any) -> tuple[Any, Any, Any, Any]:
        return backward_loop(plan, *arguments)

    sizes = sizes_of_parts(inputs[0])
    masks = list(
        zip(cut(mask, sizes, axis=1), cut(dropout_mask, sizes, 0), strict=True)
    )

    @tf.custom_gradient
    def run(*flat: Any) -> tuple[list[Any], Callable[..., list[Any]]]:
        inputs, states, weights, constants = tf.nest.pack_sequence_as(
            arguments, flat
        )
        inputs = cut(inputs, sizes, axis=1)
        values = [[*weights, *part] for part in cut(constants, sizes, axis=0)]
        found = [
            forward(*given, *both)
            for *given, both in zip(
                inputs, cut(states, sizes, axis=0), values, masks, strict=True
            )
        ]
        last, saved = zip(*found, strict=True)
        sequences = [[kept.states[i][1:] for i in wanted] for kept in saved]
        results = [*join(last, sizes, axis=0), *join(sequences, sizes, axis=1)]

        def gradient(*upstream: Any) -> list[Any]:
            # The output may be wanted as a state, too.
            d_last = cut(list(upstream[: len(states)]), sizes, axis=0)
            d_sequences = cut(list(upstream[len(states) :]), sizes, axis=1)
            upstreams = zip(d_last, d_sequences, strict=True)
            found = [
                backward(*given, *above, wanted, *both)
                for *given, above, both in zip(
                    inputs, values, saved, upstreams, masks, strict=True
                )
            ]
            d_inputs, d_states, d_values, d_results = zip(*found, strict=True)
            d_products = [
                weight_gradients(plan, kept, d_input, d_result, dropped)
                for kept, d_input, d_result, (_, dropped) in zip(
                    saved, d_inputs, d_results, masks, strict=True
                )
            ]
            d_direct = [d[: len(weights)] for d in d_values]
            d_weights = map(total, zip(*d_direct, *d_products, strict=True))
            d_constants = [d[len(weights) :] for d in d_values]
            return _once(
                [
                    *join(d_inputs, sizes, axis=1),
                    *join(d_states, sizes, axis=0),
                    *d_weights,
                    *join(d_constants, sizes, axis=0),
                ]
            )

        return results, gradient

    results = run(*tf.nest.flatten(arguments))
    # The layer on top is compiled if it knows the number of time steps.
    time = inputs[0].shape[0]
    sequences = [
        known_shape(sequence, (time, *sequence.shape[1:]))
        for sequence in results[len(arguments[1]) :]
    ]
    output = sequences.pop() if return_sequences else None
    if output is None:
        output = results[plan.output_state]
    return output, list(results[: len(states)]), sequences


def _once(gradients: list[Any]) -> list[Any]:
    """Refuse to be differentiated, rather than be silently wrong.

    What the forward loop keeps counts as constant in the backward loop.
    """

    @tf.custom_gradient
    def guard(*tensors: Any) -> tuple[list[Any], Callable[..., Any]]:
        def refuse(*_: Any) -> Any:
            raise NotImplementedError(
                "Recurrent layers have no gradient of the gradient in "
                "training. Call them within `keras_recurrent.layers."
                "plain_loops()`."
            )

        return [tf.identity(tensor) for tensor in tensors], refuse

    there = [i for i, tensor in enumerate(gradients) if tensor is not None]
    guarded = guard(*(gradients[i] for i in there))
    for i, tensor in zip(there, guarded, strict=True):
        gradients[i] = tensor
    return gradients
