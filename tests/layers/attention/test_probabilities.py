"""What makes alignments of scores, against its definition.

Tests `hardmax.py`, `masked_softmax.py` and `sparsemax.py`.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from keras_recurrent.layers import BahdanauAttention, LuongAttention
from keras_recurrent.layers.attention.hardmax import hardmax
from keras_recurrent.layers.attention.sparsemax import sparsemax
from tests.oracles import tried

S = 6
scores = arrays.arrays("float32", (3, S), elements=st.floats(-5, 5, width=16))
masks = arrays.arrays("bool", (3, S))


def projection(row):
    """The nearest point of the simplex, by bisection of its threshold."""
    low, high = row.min() - 1, row.max()
    for _ in range(100):
        middle = (low + high) / 2
        if np.maximum(row - middle, 0).sum() > 1:
            low = middle
        else:
            high = middle
    return np.maximum(row - high, 0)


@tried(few=20, many=100)
@given(scores=scores, mask=masks)
def test_sparsemax_is_the_nearest_distribution(scores, mask):
    shares = sparsemax(tf.constant(scores), tf.constant(mask)).numpy()
    for row, seen, share in zip(scores, mask, shares, strict=True):
        expected = np.zeros(S)
        if seen.any():
            expected[seen] = projection(row[seen].astype("float64"))
        np.testing.assert_allclose(share, expected, atol=1e-5)


def test_sparsemax_has_the_gradient_of_the_projection():
    x = tf.constant([[1.0, 0.8, 0.1, -3.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = sparsemax(x)
    # On its support S, δ_ij − 1/|S|; elsewhere nothing.
    assert np.flatnonzero(y[0]).tolist() == [0, 1]
    expected = np.zeros((4, 4))
    expected[:2, :2] = np.eye(2) - 0.5
    np.testing.assert_allclose(
        tape.jacobian(y, x)[0, :, 0], expected, atol=1e-6
    )


@pytest.mark.parametrize("probability", [hardmax, sparsemax])
def test_nothing_to_choose_from_and_the_largest_of_numbers(probability):
    assert probability(tf.zeros((2, 0))).shape == (2, 0)
    extreme = tf.constant([[3e38, -3e38, 0.0]])
    np.testing.assert_array_equal(probability(extreme), [[1, 0, 0]])


@tried(few=20, many=100)
@given(scores=scores, mask=masks)
def test_hardmax_is_the_first_of_the_best(scores, mask):
    shares = hardmax(tf.constant(scores), tf.constant(mask)).numpy()
    for row, seen, share in zip(scores, mask, shares, strict=True):
        expected = np.zeros(S)
        if seen.any():
            expected[np.argmax(np.where(seen, row, -np.inf))] = 1
        np.testing.assert_array_equal(share, expected)


@pytest.mark.parametrize("make", [BahdanauAttention, LuongAttention])
@pytest.mark.parametrize("name", ["softmax", "sparsemax", "hardmax"])
def test_every_score_goes_with_every_probability(make, name, seed):
    attention = make(4, probability_fn=name)
    rng = np.random.default_rng(0)
    query = tf.constant(rng.normal(size=(2, 3, 4)), tf.float32)
    memory = tf.constant(rng.normal(size=(2, S, 5)), tf.float32)
    mask = tf.constant([[True] * S, [False] * S])
    attention(query, memory)
    for jit_compile in (False, True):
        graph = tf.function(attention, autograph=False, jit_compile=jit_compile)
        context, alignments = graph(query, memory, memory_mask=mask)
        np.testing.assert_allclose(
            tf.reduce_sum(alignments, -1), [[1] * 3, [0] * 3], atol=1e-6
        )
        assert not context[1].numpy().any()
    clone = make.from_config(attention.get_config())
    assert clone.get_config() == attention.get_config()


@keras.saving.register_keras_serializable("test")
def evenly(scores, mask):
    weights = tf.ones_like(scores)
    weights = weights if mask is None else weights * tf.cast(mask, tf.float32)
    total = tf.reduce_sum(weights, axis=-1, keepdims=True)
    return tf.math.divide_no_nan(weights, total)


def test_a_probability_of_your_own():
    attention = LuongAttention(4, probability_fn=evenly)
    clone = LuongAttention.from_config(attention.get_config())
    for layer in (attention, clone):
        _, alignments = layer(tf.ones((1, 4)), tf.ones((1, 4, 2)))
        np.testing.assert_array_equal(alignments, [[0.25] * 4])
    with pytest.raises(ValueError, match="probability_fn='soft'"):
        LuongAttention(4, probability_fn="soft")
