"""Given targets under teacher forcing."""

import numpy as np
import tensorflow as tf

from keras_recurrent.models import beam_search, score_target

V, END, START, B, S, L = 6, 1, 5, 2, 3, 4


def bigrams(seed):
    """A table of unnormalised scores of the next token, and its softmax."""
    logits = np.random.default_rng(seed).normal(size=(B, V, V)) * 2
    probs = np.exp(logits)
    return logits, probs / probs.sum(-1, keepdims=True)


def step_of(logits):
    table = tf.constant(logits, tf.float32)

    def step(ids, sentence):
        scores = tf.gather_nd(table, tf.stack([sentence, ids], 1))
        return scores, tf.one_hot(ids % S, S), sentence

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
