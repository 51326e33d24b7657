"""The scan against the recurrence as it is written."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_recurrent.layers import linear_scan
from tests.oracles import tried

B, U = 3, 2


def recurrence(a, b, h, mask=None, reverse=False):
    """The equation in NumPy, step by step."""
    states = np.empty_like(b)
    steps = range(len(b))
    for t in reversed(steps) if reverse else steps:
        new = a[t] * h + b[t]
        h = new if mask is None else np.where(mask[t][:, None], new, h)
        states[t] = h
    return states


def adjoint(a, b, h, mask, reverse, d):
    """The gradient by the chain rule, one step after the other."""
    if reverse:
        a, b, d = a[::-1], b[::-1], d[::-1]
        mask = None if mask is None else mask[::-1]
    states = np.concatenate([h[None], recurrence(a, b, h, mask)])
    d_a, d_b, g = np.zeros_like(a), np.zeros_like(b), np.zeros_like(h)
    for t in reversed(range(len(b))):
        g = g + d[t]
        live = 1 if mask is None else mask[t][:, None]
        d_a[t], d_b[t] = live * g * states[t].conj(), live * g
        g = live * a[t].conj() * g + (1 - live) * g
    if reverse:
        d_a, d_b = d_a[::-1], d_b[::-1]
    return d_a, d_b, g


def draw(rng, *shape, kind):
    x = rng.normal(size=shape)
    return (
        x + 1j * rng.normal(size=shape) if kind == "complex64" else x
    ).astype(kind)


def gradients(a, b, h, mask, reverse, d):
    with tf.GradientTape() as tape:
        tape.watch([a, b, h])
        states = linear_scan(a, b, h, mask, reverse)
    return [states, *tape.gradient(states, [a, b, h], d)]


unknown = tf.function(gradients, autograph=False, reduce_retracing=True)


@tried(few=8, many=20)
@given(
    time=st.sampled_from([0, 1, 2, 7, 31, 32, 33, 64, 150]),
    kind=st.sampled_from(["float32", "complex64"]),
    masked=st.booleans(),
    reverse=st.booleans(),
    seed=st.integers(0, 99),
)
def test_states_and_gradients(time, kind, masked, reverse, seed):
    rng = np.random.default_rng(seed)
    a = 0.7 * draw(rng, time, B, U, kind=kind)
    b, d = (draw(rng, time, B, U, kind=kind) for _ in "bd")
    h = draw(rng, B, U, kind=kind)
    mask = rng.random((time, B)) < 0.7 if masked else None
    expected = [
        recurrence(a, b, h, mask, reverse),
        *adjoint(a, b, h, mask, reverse, d),
    ]
    arguments = [
        tf.constant(a),
        tf.constant(b),
        tf.constant(h),
        None if mask is None else tf.constant(mask),
        reverse,
        tf.constant(d),
    ]
    for results in (gradients(*arguments), unknown(*arguments)):
        for result, value in zip(results, expected, strict=True):
            np.testing.assert_allclose(result, value, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["float32", "complex64"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("time", [None, 70])
def test_under_xla(kind, reverse, time):
    rng = np.random.default_rng(0)
    a = 0.7 * draw(rng, 70, B, U, kind=kind)
    b, d = (draw(rng, 70, B, U, kind=kind) for _ in "bd")
    h, mask = draw(rng, B, U, kind=kind), rng.random((70, B)) < 0.7
    spec = tf.TensorSpec((time, B, U), kind)

    def run(a, b, h, mask, d):
        return gradients(a, b, h, mask, reverse, d)

    results = tf.function(
        run,
        autograph=False,
        jit_compile=True,
        input_signature=[
            spec,
            spec,
            tf.TensorSpec((B, U), kind),
            tf.TensorSpec((time, B), tf.bool),
            spec,
        ],
    )(a, b, h, mask, d)
    expected = [
        recurrence(a, b, h, mask, reverse),
        *adjoint(a, b, h, mask, reverse, d),
    ]
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, value, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_adds_up_in_full(dtype):
    """4096 + 1 is 4096 in both kinds of half; in float32 it is not."""
    ones = tf.ones((8192, 1), dtype)
    states = linear_scan(ones, ones, tf.zeros(1, dtype))
    assert states.dtype == dtype
    assert float(states[-1, 0]) == 8192


def test_gradient_of_the_gradient():
    """Of h_T = a^T h_0 it is T (T − 1) a^(T−2) h_0."""
    a = tf.constant(0.9)
    with tf.GradientTape() as outer:
        outer.watch(a)
        with tf.GradientTape() as inner:
            inner.watch(a)
            factors = tf.fill((40, 1), a)
            last = linear_scan(factors, tf.zeros((40, 1)), tf.ones(1))[-1, 0]
        first = inner.gradient(last, a)
    np.testing.assert_allclose(
        outer.gradient(first, a), 40 * 39 * 0.9**38, rtol=1e-4
    )


def test_no_loop_over_time_is_left_in_the_graph():
    """What waits for something else grows with log T, not with T."""

    @tf.function(autograph=False)
    def scan(a, b):
        return linear_scan(a, b, tf.zeros((B, U)))

    spec = tf.TensorSpec((None, B, U))
    graph = scan.get_concrete_function(spec, spec).graph.as_graph_def()
    arrays = [
        node.op
        for function in graph.library.function
        for node in function.node_def
        if node.op.startswith("TensorList")
    ]
    assert not arrays
