"""Tests `by_sentence.py`."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers.ops.by_sentence import by_sentence


@pytest.mark.parametrize(("sentences", "each"), [(3, 2), (1, 4), (0, 0)])
def test_rows_next_to_each_other_are_those_of_a_sentence(sentences, each):
    rows = np.arange(sentences * each * 5.0).reshape(sentences * each, 5)
    found = by_sentence(tf.constant(rows), sentences)
    assert found.shape == (sentences, each, 5)
    for b in range(sentences):
        for k in range(each):
            np.testing.assert_array_equal(found[b, k], rows[b * each + k])


def test_a_known_size_stays_known_and_others_may_be_unknown():
    shapes = []

    @tf.function(
        input_signature=[tf.TensorSpec((None, None)), tf.TensorSpec((None, 7))]
    )
    def run(x, y):
        shapes.append(by_sentence(y, tf.shape(y)[0] // 2).shape)
        return by_sentence(x, tf.shape(x)[0] // 2)

    assert run(tf.ones((4, 3)), tf.ones((4, 7))).shape == (2, 2, 3)
    assert shapes == [(None, None, 7)]
