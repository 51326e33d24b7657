"""Reductions over a vocabulary, against sorting and NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models.decoding.over_vocabulary import logsumexp, top_k

SIZES = [30, 512, 1000, 4096, 4097, 8000]


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_it_is_sorting(size, jit_compile):
    values = np.random.default_rng(size).normal(size=(6, size))
    find = tf.function(lambda x: top_k(x, 7), jit_compile=jit_compile)
    best, indices = find(tf.constant(values, tf.float32))
    expected = np.argsort(-values, axis=-1)[..., :7]
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(
        best, np.take_along_axis(values, expected, -1), rtol=1e-6
    )


@pytest.mark.parametrize("k", [3, 64, 4097])
def test_all_in_one_block_and_nothing_at_all(k):
    values = np.full((2, 4097), -np.inf, "float32")
    values[0, 4096] = 5.0
    values[1, 64:128] = np.arange(64)
    best, indices = top_k(tf.constant(values), k)
    np.testing.assert_array_equal(best, -np.sort(-values)[:, :k])
    assert indices[0, 0] == 4096
    np.testing.assert_array_equal(indices[1, :3], [127, 126, 125])
    assert (indices.numpy() < 4097).all()


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_the_sum_of_exponentials(size, jit_compile):
    values = np.random.default_rng(size).normal(size=(5, size))
    values += np.array([0.0, 300.0, -300.0, 0.0, 0.0])[:, np.newaxis]
    values[3, 1:] = -np.inf
    values[4] = -np.inf
    find = tf.function(logsumexp, jit_compile=jit_compile)
    top = values[:4].max(-1)
    rest = np.exp(values[:4] - top[:, np.newaxis]).sum(-1)
    found = find(tf.constant(values, tf.float32)).numpy()
    np.testing.assert_allclose(found[:4], top + np.log(rest), rtol=1e-5)
    assert found[4] == -np.inf
