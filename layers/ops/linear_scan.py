"""Linear recurrences over time, all time steps at once."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_recurrent.layers.ops.known_shape import known_shape

# Time steps of one block. Two passes over the blocks do most of the work;
# longer blocks leave less to do between them, at more operations.
_BLOCK = 32

Engine = Callable[[Any, Any, Any, bool], Any]


def linear_scan(
    a: Any, b: Any, initial_state: Any, mask: Any = None, reverse: bool = False
) -> Any:
    """Compute a recurrence that is linear in its state, for all time steps.

        h_t = a_t ∗ h_{t-1} + b_t

    Since two steps in a row are one step of the same kind,

        h_{t+1} = (a_{t+1} ∗ a_t) ∗ h_{t-1} + (a_{t+1} ∗ b_t + b_{t+1}),

    steps can be joined in any order. The time axis is cut into blocks, which
    run side by side; log₂ of the number of blocks steps of doubling join them
    (Hillis & Steele 1986). So the number of operations that wait for each
    other grows with log T. Compiled by XLA for a processor, one step after
    the other is several times faster, as it reads and writes memory once:
    there, this is what happens.

    The gradient is the same recurrence, run the other way. It needs a and h;
    nothing in between is kept, so memory is linear in time.

    Args:
        a, b: (T, B, …), time-major, real or complex. Half precision is
            computed in float32.
        initial_state: (B, …), h before the first time step.
        mask: (T, B), boolean, or None. Masked steps leave the state as it is.
        reverse: Whether to go from the last time step to the first:
            h_t = a_t ∗ h_{t+1} + b_t, and the initial state is h_{T+1}.

    Returns:
        h (T, B, …), of the dtype of b.

    References:
        Blelloch (1990), Prefix Sums and Their Applications.
        Martin & Cundy (2018), arXiv:1709.04057.

    Example:

    >>> a, b = tf.fill((4, 1), 0.5), tf.ones((4, 1))
    >>> linear_scan(a, b, initial_state=tf.zeros(1))[:, 0].numpy().tolist()
    [1.0, 1.5, 1.75, 1.875]
    """
    dtype = b.dtype
    if dtype in (tf.float16, tf.bfloat16):
        a, b, initial_state = (
            tf.cast(x, tf.float32) for x in (a, b, initial_state)
        )
    if mask is not None:
        live = tf.reshape(
            mask, tf.concat([tf.shape(mask), [1] * (b.shape.rank - 2)], 0)
        )
        a = tf.where(live, a, tf.ones_like(a))
        b = tf.where(live, b, tf.zeros_like(b))
    # The choice is made once: the gradient may be traced elsewhere, where it
    # does not show that XLA compiles it.
    engine = _step_by_step if _compiled_for_processor() else _blockwise
    return tf.cast(_scan(a, b, initial_state, reverse, engine), dtype)


def before(sequence: Any, first: Any, reverse: bool = False) -> Any:
    """Return what was before each time step.

    Args:
        sequence: (T, B, …), time-major.
        first: (B, …), what was before the first time step.
        reverse: Whether time goes from the last step to the first.
    """
    if reverse:
        return tf.concat([sequence, tf.expand_dims(first, 0)], axis=0)[1:]
    return tf.concat([tf.expand_dims(first, 0), sequence], axis=0)[:-1]


def last_of(sequence: Any, first: Any) -> Any:
    """Return the last of (T, B, …), or `first` (B, …) if there is none."""
    return tf.concat([tf.expand_dims(first, 0), sequence[-1:]], axis=0)[-1]


def _scan(
    a: Any, b: Any, initial_state: Any, reverse: bool, engine: Engine
) -> Any:
    @tf.custom_gradient
    def run(a: Any, b: Any, initial_state: Any) -> tuple[Any, Callable]:
        h = engine(a, b, initial_state, reverse)

        def gradient(d_h: Any) -> tuple[Any, Any, Any]:
            # g_t = d_t + a*_{t+1} ∗ g_{t+1}
            zeros = tf.zeros_like(initial_state)
            factors = tf.math.conj(before(a, zeros, not reverse))
            g = _scan(factors, d_h, zeros, not reverse, engine)
            first = slice(-1, None) if reverse else slice(1)
            # A sum over one step, or over none.
            d_initial = tf.reduce_sum(tf.math.conj(a[first]) * g[first], 0)
            return (
                g * tf.math.conj(before(h, initial_state, reverse)),
                g,
                d_initial,
            )

        return h, gradient

    return run(a, b, initial_state)


def _compiled_for_processor() -> bool:
    compiled = tf.__internal__.get_enclosing_xla_context() is not None
    devices = {d.device_type for d in tf.config.list_logical_devices()}
    return compiled and not devices & {"GPU", "TPU"}


def _step_by_step(a: Any, b: Any, initial_state: Any, reverse: bool) -> Any:
    time = tf.shape(b)[0]

    def array() -> Any:
        return tf.TensorArray(b.dtype, time, element_shape=b.shape[1:])

    factors, summands = array().unstack(a), array().unstack(b)

    def body(step: Any, h: Any, states: Any) -> tuple:
        t = time - 1 - step if reverse else step
        h = factors.read(t) * h + summands.read(t)
        return step + 1, h, states.write(t, h)

    _, _, states = tf.while_loop(
        lambda step, *_: step < time,
        body,
        (tf.constant(0), initial_state, array()),
        maximum_iterations=time,
    )
    return known_shape(states.stack(), b.shape)


def _blockwise(a: Any, b: Any, initial_state: Any, reverse: bool) -> Any:
    time = tf.shape(b)[0]
    length = min(_BLOCK, b.shape[0] or _BLOCK)
    missing = -time % length
    blocks = (time + missing) // length  # N
    order = range(length)[:: -1 if reverse else 1]

    def cut(x: Any, filling: Callable[..., Any]) -> list[Any]:
        """Return, for each place in a block, (N, B, …)."""
        features = tf.shape(x)[1:]
        padding = filling(tf.concat([[missing], features], axis=0), x.dtype)
        x = tf.concat([x, padding], axis=0)
        shape = tf.concat([[blocks, length], features], axis=0)
        return tf.unstack(tf.reshape(x, shape), length, axis=1)

    factors, summands = cut(a, tf.ones), cut(b, tf.zeros)
    # The whole of each block as one step.
    factor, summand = factors[order[0]], summands[order[0]]
    for t in order[1:]:
        summand = factors[t] * summand + summands[t]
        factor = factor * factors[t]
    ends = _double(factor, summand, initial_state, reverse)
    h = before(ends, initial_state, reverse)
    states = [h] * length
    for t in order:
        h = states[t] = factors[t] * h + summands[t]
    shape = tf.concat([[blocks * length], tf.shape(b)[1:]], axis=0)
    return known_shape(
        tf.reshape(tf.stack(states, axis=1), shape)[:time], b.shape
    )


def _double(a: Any, b: Any, initial_state: Any, reverse: bool) -> Any:
    """Join each step with the one before, then with the two before, …"""
    time = tf.shape(b)[0]
    rows = tf.range(time)
    order = time - 1 - rows if reverse else rows
    order = tf.reshape(order, [-1] + [1] * (b.shape.rank - 1))

    def body(distance: Any, a: Any, b: Any) -> tuple[Any, Any, Any]:
        # Gathered rather than sliced, so that shapes stay what they are.
        joined = order >= distance
        if reverse:
            others = tf.minimum(rows + distance, time - 1)
        else:
            others = tf.maximum(rows - distance, 0)

        def earlier(x: Any, filling: Callable[[Any], Any]) -> Any:
            x = known_shape(tf.gather(x, others), x.shape)
            return tf.where(joined, x, filling(x))

        summand = a * earlier(b, tf.zeros_like) + b
        return 2 * distance, a * earlier(a, tf.ones_like), summand

    _, a, b = tf.while_loop(
        lambda distance, *_: distance < time,
        body,
        (tf.constant(1), a, b),
        maximum_iterations=32,
    )
    return a * initial_state + b
