"""The loop over time, for any step."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_recurrent.layers.ops.known_shape import known_shape

Step = Callable[[Any, Any], tuple[Any, Any]]

# Time steps of one turn of the loop. A turn costs as much as some operations of
# a step; more steps gain little, and each takes its time to be traced.
_STEPS = 4


def recurrence(
    step: Step,
    inputs: Any,
    states: Any,
    outputs: Any,
    mask: Any = None,
    *,
    return_sequences: bool = True,
    zero_output_for_mask: bool = False,
    unroll: bool = False,
) -> tuple[Any, Any]:
    """Run `step` over the time steps of `inputs`.

        output_t, states_t = step(inputs_t, states_{t-1})

    Where the mask is False, the states stay as they are and the output of the
    time step before is repeated (or zero, on request), so the answer for a
    sentence does not depend on its padding, wherever that stands.

    All shapes are fixed before the loop starts and the number of iterations
    is bounded, so the loop and its gradient compile under XLA. Several time
    steps are one turn of it; another loop takes those that are left.

    Args:
        step: Maps the inputs of one time step (B, …) and the states to the
            output of the time step and the new states.
        inputs: (T, B, …), time-major, one tensor or a nested structure.
        states: The initial states, a nested structure of (B, …).
        outputs: The output before the first time step (what masked steps at
            the beginning return), a nested structure of (B, …).
        mask: (T, B), boolean, or None.
        return_sequences: Whether to return the outputs of all time steps.
        zero_output_for_mask: Whether masked time steps put out zeros.
        unroll: Whether the graph repeats the step for each time step rather
            than looping; the number of time steps must be known.

    Returns:
        The outputs of all time steps (T, B, …) or the last one (B, …), and the
        final states.
    """
    time = tf.shape(tf.nest.flatten(inputs)[0])[0]
    static_time = tf.nest.flatten(inputs)[0].shape[0]

    input_arrays = tf.nest.map_structure(array_of, inputs)
    mask_array = None if mask is None else array_of(mask)
    output_arrays = tf.nest.map_structure(
        lambda value: _array_like(value, time if return_sequences else 1),
        outputs,
    )
    if not return_sequences:
        output_arrays = _write(output_arrays, 0, outputs)
    # Carried only where it is read: a loop that hands on what no step reads
    # has no Jacobian.
    is_repeated = mask is not None and not zero_output_for_mask

    def body(t: Any, arrays: Any, before: Any, states: Any) -> tuple:
        output, new_states = step(
            tf.nest.map_structure(lambda array: array.read(t), input_arrays),
            states,
        )
        if mask_array is not None:
            live = mask_array.read(t)
            if zero_output_for_mask:
                before = tf.nest.map_structure(tf.zeros_like, output)
            output = hold(live, output, before)
            new_states = hold(live, new_states, states)
        arrays = _write(arrays, t if return_sequences else 0, output)
        return t + 1, arrays, output if is_repeated else (), new_states

    before = outputs if is_repeated else ()
    loop = (tf.constant(0), output_arrays, before, states)
    known = static_time if static_time is not None else time

    def turns(loop: tuple, steps: int, count: Any) -> tuple:
        def turn(*loop: Any) -> tuple:
            for _ in range(steps):
                loop = body(*loop)
            return loop

        end = loop[0] + steps * count
        return tf.while_loop(
            lambda t, *_: t < end, turn, loop, maximum_iterations=count
        )

    if unroll:
        for _ in range(static_time):
            loop = body(*loop)
    elif tf.executing_eagerly():
        loop = turns(loop, 1, time)
    else:
        for steps, count in ((_STEPS, known // _STEPS), (1, known % _STEPS)):
            if tf.is_tensor(count) or count:
                loop = turns(loop, steps, count)
    _, output_arrays, _, states = loop

    def found(array: Any, value: Any) -> Any:
        if not return_sequences:
            return known_shape(array.read(0), value.shape)
        sequence = stack(array, tf.shape(value))
        return known_shape(sequence, (static_time, *value.shape))

    return tf.nest.map_structure(found, output_arrays, outputs), states


def array_of(sequence: Any) -> Any:
    """Return an array over time of (T, B, …), to be read in a loop."""
    shape = sequence.shape[1:]
    size = tf.shape(sequence)[0]
    array = tf.TensorArray(sequence.dtype, size, element_shape=shape)
    return array.unstack(sequence)


def _array_like(value: Any, time: Any) -> Any:
    """Make an array over time of what has the shape of `value`.

    Unlike `tf.TensorArray` by itself it has also those sizes that are not
    known when the graph is made: LiteRT asks for all of them.
    """
    shape = value.shape
    if tf.executing_eagerly() or shape.is_fully_defined():
        return tf.TensorArray(value.dtype, time, element_shape=shape)
    flow = tf.raw_ops.TensorListReserve(
        element_shape=tf.shape(value),
        num_elements=time,
        element_dtype=value.dtype,
    )
    return tf.TensorArray(value.dtype, flow=flow)


def _write(arrays: Any, t: Any, values: Any) -> Any:
    return tf.nest.map_structure(
        lambda array, value: array.write(t, value), arrays, values
    )


def stack(array: Any, shape: Any) -> Any:
    """Stack an array over time, which may be one of no time steps.

    `array.stack()` fails for it where the batch size is not known when the
    graph is made.

    Args:
        array: Array over time of (B, …).
        shape: The shape (B, …), a tensor.
    """
    if tf.executing_eagerly() or array.element_shape.is_fully_defined():
        return array.stack()
    return tf.raw_ops.TensorListStack(
        input_handle=array.flow, element_shape=shape, element_dtype=array.dtype
    )


def hold(live: Any, new: Any, old: Any) -> Any:
    """Take `new` in the rows that are live and `old` in the others.

    Args:
        live: (B,), boolean.
        new, old: Nested structures of (B, …).
    """

    def choose(new: Any, old: Any) -> Any:
        rows = tf.reshape(live, (-1, *[1] * (new.shape.rank - 1)))
        return tf.where(rows, new, old)

    return tf.nest.map_structure(choose, new, old)


def swap_batch_and_time(sequence: Any) -> Any:
    """Turn (B, T, …) into (T, B, …), or back."""
    return tf.transpose(sequence, (1, 0, *range(2, sequence.shape.rank)))
