"""Counts of tokens and what is made of them."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models.token_frequencies import (
    count_tokens,
    log_frequencies,
)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([[4, 5, 3], [4, 3, 0]], "int64"),
        tf.constant([[4, 5, 3], [4, 3, 0]]),
        tf.ragged.constant([[4, 5, 3], [4, 3]]),
        [[4, 5, 3], [4, 3, 0]],
    ],
    ids=["array", "tensor", "ragged", "list"],
)
def test_tokens_are_counted_and_padding_is_not(labels):
    counts = count_tokens(labels, 7)
    np.testing.assert_array_equal(counts, [0, 0, 0, 2, 2, 1, 0])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[4, 7]], r"in \[0, 7\).*from 4 to 7"),
        ([[4, -1]], r"in \[0, 7\).*from -1 to 4"),
        ([[4.0, 5.0]], "integers.*float64"),
    ],
)
def test_what_is_no_label_is_named(labels, message):
    with pytest.raises(ValueError, match=message):
        count_tokens(labels, 7)


def test_frequencies_are_those_of_the_counts():
    logs = log_frequencies(np.array([0, 30, 10, 60]))
    # Padding never occurs, and no token occurs once: it counts as one.
    np.testing.assert_allclose(np.exp(logs) * 101, [1, 30, 10, 60], rtol=1e-5)


def test_unseen_tokens_share_what_those_seen_once_have():
    # Two of ten occur once: 2 / 10 of the probability for 4 unseen tokens.
    logs = log_frequencies(np.array([0, 8, 1, 1, 0, 0, 0]))
    np.testing.assert_allclose(
        np.exp(logs) * 12, [0.5, 8, 1, 1, 0.5, 0.5, 0.5], rtol=1e-5
    )
