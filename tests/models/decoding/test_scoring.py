"""Given targets under teacher forcing, and several models as one."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import (
    beam_search,
    ensemble,
    greedy_search,
    score_target,
)

V, END, START, B, S, L = 6, 1, 5, 2, 3, 4


def bigrams(seed):
    """A table of unnormalised scores of the next token, and its softmax."""
    logits = np.random.default_rng(seed).normal(size=(B, V, V)) * 2
    probs = np.exp(logits)
    return logits, probs / probs.sum(-1, keepdims=True)


def step_of(logits, looks=True):
    table = tf.constant(logits, tf.float32)

    def step(ids, sentence):
        alignments = tf.one_hot(ids % S, S) if looks else None
        scores = tf.gather_nd(table, tf.stack([sentence, ids], 1))
        return scores, alignments, sentence

    return step


def state():
    return tf.range(B), tf.fill((B,), START)


TARGET = np.array([[2, 4, END, 0], [3, 3, 2, 4]])


def assert_scored(found, k, probs, target):
    for b in range(B):
        last, gains, looks = START, np.zeros(L), np.zeros((L, S))
        for t, token in enumerate(target[b]):
            if token == 0:
                break
            gains[t] = np.log(probs[b, last, token])
            looks[t, last % S] = 1
            last = token
        np.testing.assert_array_equal(found.ids[b, k], target[b])
        np.testing.assert_allclose(
            found.token_log_probs[b, k], gains, rtol=1e-5
        )
        np.testing.assert_allclose(
            found.log_probs[b, k], gains.sum(), rtol=1e-5
        )
        np.testing.assert_allclose(found.scores[b, k], found.log_probs[b, k])
        np.testing.assert_allclose(found.alignments[b, k], looks)
        real = [token for token in target[b] if token not in (0, END)]
        assert found.lengths[b, k] == len(real)


def test_log_probabilities_of_a_target():
    logits, probs = bigrams(0)
    found = score_target(step_of(logits), *state(), TARGET, end_id=END)
    assert found.ids.shape == (B, 1, L)
    assert_scored(found, 0, probs, TARGET)


def test_several_targets_for_each_sentence():
    logits, probs = bigrams(1)
    other = np.array([[END, 0, 0, 0], [2, 0, 0, 0]])
    targets = np.stack([TARGET, other, TARGET[:, ::-1] * 0 + 3], axis=1)
    found = score_target(step_of(logits), *state(), targets, end_id=END)
    for k in range(3):
        assert_scored(found, k, probs, targets[:, k])


def test_what_was_found_is_scored_alike():
    step = step_of(bigrams(2)[0])
    found = beam_search(step, *state(), end_id=END, max_length=L, beam_width=3)

    def score(ids):
        return score_target(step, *state(), ids, end_id=END)

    spec = tf.TensorSpec((None, None, None), tf.int32)
    for again in (
        score(found.ids),
        tf.function(score, input_signature=[spec])(found.ids),
        tf.function(score, jit_compile=True)(found.ids),
    ):
        for ours, expected in zip(again, found, strict=True):
            np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_an_ensemble_is_the_mean_of_probabilities():
    first, second, third = bigrams(3), bigrams(4), bigrams(5)
    step = ensemble([step_of(first[0]), step_of(second[0]), step_of(third[0])])
    mean = (first[1] + second[1] + third[1]) / 3
    (sentence, start_ids) = state()
    states = (sentence, sentence, sentence)
    found = score_target(step, states, start_ids, TARGET, end_id=END)
    assert_scored(found, 0, mean, TARGET)

    options = {"end_id": END, "max_length": L}
    expected = step_of(np.log(mean))
    for ours, reference in (
        (
            greedy_search(step, states, start_ids, **options),
            greedy_search(expected, *state(), **options),
        ),
        (
            beam_search(step, states, start_ids, beam_width=4, **options),
            beam_search(expected, *state(), beam_width=4, **options),
        ),
    ):
        for a, b in zip(ours, reference, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_an_ensemble_of_which_not_all_look():
    logits, _ = bigrams(6)
    with_looks = step_of(logits)(tf.constant([2, 3]), tf.range(B))[1]
    blind = step_of(logits, looks=False)
    for steps, expected in (
        ([blind, step_of(logits)], with_looks),
        ([blind, blind], None),
    ):
        states = [tf.range(B)] * 2
        _, looks, new = ensemble(steps)(tf.constant([2, 3]), states)
        assert len(new) == 2
        if expected is None:
            assert looks is None
        else:
            np.testing.assert_allclose(looks, expected)


def test_an_impossible_token_of_one_member_stays_possible():
    sure = step_of(np.full((B, V, V), [-1e9, -1e9, 0, -1e9, -1e9, -1e9]))
    step = ensemble([sure, step_of(np.zeros((B, V, V)))])
    log_probs, _, _ = step(tf.constant([2, 2]), [tf.range(B)] * 2)
    np.testing.assert_allclose(tf.exp(log_probs[0, 3]), 1 / 12, rtol=1e-5)


def test_no_members():
    with pytest.raises(ValueError, match="steps=\\[\\]"):
        ensemble([])
