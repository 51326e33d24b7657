"""Tests `diagonal.py`."""

import numpy as np
import tensorflow as tf

from keras_recurrent.pipelines.batching import training_batches
from keras_recurrent.pipelines.diagonal import with_diagonal_alignments
from keras_recurrent.pipelines.vocabulary import Vocabulary


def test_alignments_are_near_the_diagonal():
    source = tf.constant([[4, 5, 6, 7], [4, 5, 0, 0]])
    labels = tf.constant([[8, 3], [8, 0]])
    inputs, same = with_diagonal_alignments({"source": source}, labels)
    assert same is labels
    expected = np.zeros((2, 2, 4))
    for b, (width, height) in enumerate(((4, 2), (2, 1))):
        for t in range(height):
            for s in range(width):
                apart = s / width - t / height
                expected[b, t, s] = np.exp(-(apart**2) / 0.08)
    np.testing.assert_allclose(inputs["alignments"], expected, atol=1e-6)


def test_batches_have_them():
    letters = Vocabulary(list("abc"))
    pairs = tf.data.Dataset.from_tensor_slices(
        {"source": ["abc", "a"], "target": ["ab", "b"]}
    )
    ((inputs, labels),) = training_batches(
        pairs, letters, letters, 2, shuffle=False, diagonal=True
    )
    expected, _ = with_diagonal_alignments(inputs, labels)
    assert inputs["alignments"].shape == (2, 3, 3)
    np.testing.assert_array_equal(inputs["alignments"], expected["alignments"])
