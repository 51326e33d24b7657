"""The loop over time against a loop in Python.

Tests `known_shape.py`.
"""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from keras_recurrent.layers.ops.recurrence import recurrence
from tests.oracles import tried

B, D = 3, 2


def step(x, state):
    total, count = state
    total = 0.5 * total + x
    return {"output": total + count}, (total, count + 1.0)


def in_python(x, mask, zeros):
    """Sentence by sentence, in NumPy."""
    outputs = np.zeros(x.shape, "float32")
    totals, counts = np.zeros((B, D), "float32"), np.zeros((B, 1), "float32")
    for b in range(B):
        last = np.full(D, 7.0)  # the output before the first step
        for t in range(len(x)):
            if mask[t, b]:
                last = 0.5 * totals[b] + x[t, b] + counts[b]
                totals[b] = 0.5 * totals[b] + x[t, b]
                counts[b] += 1
            outputs[t, b] = 0 if zeros and not mask[t, b] else last
    return outputs, totals, counts


@tried(few=5, many=20)
@given(
    mask=st.integers(1, 5).flatmap(lambda t: arrays(bool, (t, B))),
    zeros=st.booleans(),
    unroll=st.booleans(),
    sequences=st.booleans(),
)
def test_any_mask(mask, zeros, unroll, sequences):
    rng = np.random.default_rng(len(mask))
    x = rng.normal(size=(len(mask), B, D)).astype("float32")
    found, (totals, counts) = recurrence(
        step,
        tf.constant(x),
        (tf.zeros((B, D)), tf.zeros((B, 1))),
        {"output": tf.fill((B, D), 7.0)},
        tf.constant(mask),
        return_sequences=sequences,
        zero_output_for_mask=zeros,
        unroll=unroll,
    )
    outputs, *states = in_python(x, mask, zeros)
    expected = outputs if sequences else outputs[-1]
    np.testing.assert_allclose(found["output"], expected, atol=1e-5)
    np.testing.assert_allclose(totals, states[0], atol=1e-5)
    np.testing.assert_allclose(counts, states[1])


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("time", [1, 8, 16, 21])
def test_any_number_of_turns(time, known):
    """In a graph, where several steps are a turn of the loop."""
    rng = np.random.default_rng(time)
    x = rng.normal(size=(time, B, D)).astype("float32")
    mask = rng.random((time, B)) < 0.7
    steps = time if known else None
    loops = []

    @tf.function(
        input_signature=[
            tf.TensorSpec((steps, B, D)),
            tf.TensorSpec((steps, B), tf.bool),
        ],
        autograph=False,
    )
    def run(x, mask):
        states = tf.zeros((B, D)), tf.zeros((B, 1))
        before = {"output": tf.fill((B, D), 7.0)}
        with tf.GradientTape() as tape:
            tape.watch(x)
            found, states = recurrence(step, x, states, before, mask)
            total = tf.reduce_sum(states[0])
        operations = tf.compat.v1.get_default_graph().get_operations()
        loops.append(sum("While" in one.type for one in operations))
        return found["output"], states, tape.gradient(total, x)

    found, states, gradient = run(x, mask)
    outputs, *expected = in_python(x, mask, zeros=False)
    np.testing.assert_allclose(found, outputs, atol=1e-5)
    np.testing.assert_allclose(states[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(states[1], expected[1])
    # Half of what there was is kept at each later step that counts.
    later = mask[::-1].cumsum(axis=0)[::-1] - mask
    np.testing.assert_allclose(
        gradient, np.repeat((mask * 0.5**later)[..., None], D, 2), atol=1e-6
    )
    assert loops == [{1: 1, 8: 1, 16: 1, 21: 2}[time] if known else 2]


def test_no_time_steps():
    """The output is the one before the first step, the states stay."""

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, D))], autograph=False
    )
    def run(x):
        rows = tf.shape(x)[1]
        states = tf.ones((rows, D)), tf.ones((rows, 1))
        before = {"output": tf.fill((rows, D), 7.0)}
        last, states = recurrence(
            step, x, states, before, return_sequences=False
        )
        every, _ = recurrence(step, x, states, before)
        return last["output"], every["output"], states

    last, every, states = run(tf.zeros((0, B, D)))
    np.testing.assert_array_equal(last, np.full((B, D), 7.0))
    assert every.shape == (0, B, D)
    np.testing.assert_array_equal(states[0], np.ones((B, D)))


def test_shapes_are_known_to_the_graph():
    shapes = []

    @tf.function(input_signature=[tf.TensorSpec((4, None, D))], autograph=False)
    def run(x):
        rows = tf.shape(x)[1]
        states = tf.zeros((rows, D)), tf.zeros((rows, 1))
        found, _ = recurrence(step, x, states, {"output": tf.zeros_like(x[0])})
        shapes.append(found["output"].shape.as_list())
        return found["output"]

    run(tf.zeros((4, B, D)))
    assert shapes == [[4, None, D]]
