"""Several models that decode as one."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import (
    beam_search,
    ensemble,
    greedy_search,
    score_target,
)

V, END, START, S, L = 6, 1, 5, 3, 4
START_IDS = tf.fill((2,), START)


def bigrams(seed):
    """The probabilities of the next token given the last."""
    probs = np.random.default_rng(seed).gamma(0.5, size=(V, V))
    return probs / probs.sum(-1, keepdims=True)


def step_of(probs, look=None):
    """Its state counts the steps; its logits are far from normalised."""
    table = tf.constant(np.log(probs) + 7, tf.float32)

    def step(ids, count):
        looks = None
        if look is not None:
            looks = tf.tile([look], (len(ids), 1))
        return tf.gather(table, ids), looks, count + 1

    return step


MEMBERS = [bigrams(seed) for seed in range(3)]
STATES = [tf.zeros((2,), tf.int32)] * 3


@pytest.mark.parametrize("search", ["greedy", "beam", "score"])
def test_probabilities_are_averaged(search):
    def run(step, state):
        start = (step, state, START_IDS)
        if search == "greedy":
            return greedy_search(*start, end_id=END, max_length=L)
        if search == "beam":
            return beam_search(*start, end_id=END, max_length=L, beam_width=4)
        target = [[2, 4, END, 0], [3, 3, 2, 4]]
        return score_target(*start, target, end_id=END)

    found = run(ensemble([step_of(probs) for probs in MEMBERS]), STATES)
    expected = run(step_of(np.mean(MEMBERS, axis=0)), STATES[0])
    for ours, reference in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, reference, atol=1e-5)


@pytest.mark.parametrize(
    "looks, expected",
    [
        ([None, None], None),
        ([None, [1.0, 0.0, 0.0]], [1.0, 0.0, 0.0]),
        ([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]], [0.5, 0.25, 0.25]),
    ],
)
def test_alignments_are_averaged_over_those_who_look(looks, expected):
    steps = [step_of(MEMBERS[0], look) for look in looks]
    _, found, states = ensemble(steps)(START_IDS, tuple(STATES[:2]))
    assert isinstance(states, tuple)
    np.testing.assert_array_equal(states, [[1, 1], [1, 1]])
    if expected is None:
        assert found is None
    else:
        np.testing.assert_allclose(found, [expected] * 2)


def test_what_one_member_excludes_stays_possible():
    """Far below what a float could hold as a probability."""
    sure = np.full((V, V), 1e-300)
    sure[:, 2] = 1.0
    steps = [step_of(sure), step_of(np.full((V, V), 1 / V))]
    log_probs, _, _ = ensemble(steps)(START_IDS, STATES[:2])
    np.testing.assert_allclose(tf.exp(log_probs[0, 3]), 1 / 12, rtol=1e-5)


def test_no_members():
    with pytest.raises(ValueError, match="steps=\\[\\]"):
        ensemble([])
