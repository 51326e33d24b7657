"""Scores, penalties and the bound that lets a search stop."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_recurrent.models import Constraints, beam_search
from keras_recurrent.models.decoding.ranking import (
    Ranking,
    coverage_penalty,
    length_penalty,
)
from tests.oracles import tried


def test_length_penalty():
    tokens = tf.constant([1, 7])
    np.testing.assert_allclose(
        length_penalty(tokens, 0.5), [1.0, 2**0.5], rtol=1e-6
    )
    np.testing.assert_array_equal(length_penalty(tokens, "average"), [1, 7])


def test_coverage_penalty():
    covered = np.array([[0.5, 2.0, 0.25, 0.0], [1.0, 0.5, 1.0, 1.0]])
    mask = np.array([[True, True, True, False], [True, True, False, True]])
    np.testing.assert_allclose(
        coverage_penalty(covered, mask, 0.4),
        [0.4 * np.log(0.5 * 0.25), 0.4 * np.log(0.5)],
        rtol=1e-6,
    )


def test_a_word_without_any_attention_costs_most():
    """In tensorflow-addons and OpenNMT-tf it costs nothing."""
    covered = np.array([[1.0, 0.0], [1.0, 1e-3], [1.0, 0.5], [1.0, 1.0]])
    cost = coverage_penalty(covered, np.ones((4, 2), bool), 1.0).numpy()
    assert (np.diff(cost) > 0).all() and cost[-1] == 0
    np.testing.assert_allclose(cost[0], np.log(1e-6), rtol=1e-5)


@tried(few=15, many=100)
@given(
    st.floats(-20, 0),
    st.lists(st.floats(-3, 0), min_size=1, max_size=6),
    st.sampled_from([0.0, 0.7, 1.0, 3.0, "average"]),
)
def test_no_continuation_exceeds_the_bound(start, gains, weight):
    """A hypothesis of 4 tokens goes on until it has 10 at most."""
    ranking = Ranking(weight)
    bound = np.array(ranking.bound(start, 10))
    totals = start + np.cumsum(gains)
    scores = ranking.score(totals, 5 + np.arange(len(gains)))
    assert (np.array(scores) <= bound + 1e-6).all()
    # It is reached where nothing more is lost up to the longest output.
    np.testing.assert_allclose(bound, ranking.score(start, 10))


def test_the_search_stops_when_nothing_can_win():
    """The better the worst that is asked for, the sooner."""
    end, longest = 1, 20
    probs = tf.constant([[0.0, 0.6, 0.3, 0.1]])

    def steps_of(**options):
        steps = tf.Variable(0)

        def step(ids, state):
            steps.assign_add(1)
            return tf.repeat(tf.math.log(probs), len(ids), 0), None, state

        beam_search(
            step,
            (),
            [2],
            end_id=end,
            max_length=longest,
            beam_width=4,
            **options,
        )
        return int(steps)

    # The empty output has probability 0.6 and all others together 0.4.
    assert steps_of(n_best=1) == 1
    # [2, end] has 0.18, [2, 2, end] 0.054, [3, end] 0.06.
    assert steps_of(n_best=2) == 2
    assert steps_of(n_best=3) == 3
    # [2] might end with log 0.3 / 20, which is above log 0.6. So the search
    # goes on until the beam is full of [end], [2, end], [2, 2, end], …
    assert steps_of(n_best=1, length_penalty="average") == 4
    # There is but one output, so three of the four beams are empty.
    only = Constraints(prefix=[[2, end]])
    assert steps_of(constraints=only) == 2


@pytest.mark.parametrize(
    "options, message",
    [
        ({"length_penalty": "mean"}, "'average'. Received: .*'mean'"),
        ({"length_penalty": -0.1}, "length_penalty=-0.1"),
        ({"coverage_penalty": -0.1}, "coverage_penalty=-0.1"),
        ({"coverage_penalty": 0.1}, "source_mask=None"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        Ranking(**options)
