"""Decoding with models that are no encoder-decoders.

Tests `step.py`.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import (
    beam_search,
    greedy_search,
    sample,
    score_target,
)

V, END, START, B, L = 7, 1, 2, 3, 5


@pytest.fixture(scope="module")
def language_model():
    """An ordinary Keras model: ids (B, T) to logits (B, T, V)."""
    keras.utils.set_random_seed(4)
    return keras.Sequential(
        [
            keras.layers.Embedding(V, 8),
            keras.layers.GRU(16, return_sequences=True),
            keras.layers.Dense(V, kernel_initializer="random_normal"),
        ]
    )


@pytest.fixture(scope="module")
def step_and_state(language_model):
    """Its layers, step by step, from random states."""
    language_model.build((None, None))
    embedding, gru, dense = language_model.layers
    states = tf.random.stateless_normal((B, 16), [0, 1]) * 0.9

    def step(ids, state):
        output, (state,) = gru.cell(embedding(ids), [state])
        return dense(output) * 10, None, state

    return step, states


def log_prob(model, state, ids):
    """Of outputs (B, L), by the whole model at once."""
    embedding, gru, dense = model.layers
    before = np.concatenate([np.full((B, 1), START), ids[:, :-1]], axis=1)
    outputs = gru(embedding(before), initial_state=state)
    log_probs = tf.nn.log_softmax(dense(outputs) * 10)
    gains = tf.gather(log_probs, ids, batch_dims=2)
    return np.where(ids != 0, gains, 0.0)


def searches(step, state):
    start = (step, state, tf.fill((B,), START))
    options = {"end_id": END, "max_length": L}
    return (
        greedy_search(*start, **options),
        beam_search(*start, beam_width=3, **options),
        sample(*start, seed=1, num_samples=2, **options),
    )


def test_a_keras_language_model(language_model, step_and_state):
    step, state = step_and_state
    for found in searches(step, state):
        assert found.alignments.shape == (B, found.ids.shape[1], L, 0)
        for k in range(found.ids.shape[1]):
            ids = found.ids[:, k].numpy()
            np.testing.assert_allclose(
                found.token_log_probs[:, k],
                log_prob(language_model, state, ids),
                atol=1e-4,
            )
        again = score_target(
            step, state, tf.fill((B,), START), found.ids, end_id=END
        )
        np.testing.assert_allclose(
            again.token_log_probs, found.token_log_probs, atol=1e-4
        )


def test_it_runs_eagerly_in_a_graph_and_under_xla(step_and_state):
    step, state = step_and_state
    expected = searches(step, state)
    for jit_compile in (False, True):
        run = tf.function(
            lambda state: searches(step, state),
            jit_compile=jit_compile,
            autograph=False,
        )
        for a, b in zip(
            tf.nest.flatten(run(state)), tf.nest.flatten(expected), strict=True
        ):
            np.testing.assert_allclose(a, b, atol=1e-4)


def test_the_state_may_be_anything():
    """Trigrams of one text; the state is a dictionary, or nothing."""
    text = [2, 3, 4, 2, 3, 5, 4, 2, 3, 5, 6, 3, 4, 2, END]
    counts = np.full((V, V, V), 1e-9)
    for triple in zip(text, text[1:], text[2:], strict=False):
        counts[triple] += 1
    table = tf.constant(np.log(counts), tf.float32)

    def step(ids, state):
        where = tf.stack([state["before"], ids], axis=1)
        return tf.gather_nd(table, where), None, {"before": ids}

    found = greedy_search(
        step,
        {"before": tf.constant([6])},
        tf.constant([3]),
        end_id=END,
        max_length=4,
    )
    np.testing.assert_array_equal(found.ids[0, 0], [4, 2, 3, 5])

    def unigrams(ids, state):
        return tf.tile(tf.constant([[0.0, 1.0, 3.0]]), (len(ids), 1)), None, ()

    found = beam_search(
        unigrams, (), [2], end_id=END, max_length=3, beam_width=2
    )
    np.testing.assert_array_equal(found.ids[0], [[2, 2, 2], [END, 0, 0]])


def test_what_is_not_reordered_is_not_copied():
    """The state has a row for each beam, what the step closes over has not."""
    memory = tf.random.stateless_normal((B, 4, V), [0, 2])

    def step(ids, state):
        assert state.shape[0] == 3 * B and memory.shape[0] == B
        scores = tf.reshape(state, (B, 3, 4)) @ memory
        state = state + tf.one_hot(ids % 4, 4)
        return tf.reshape(scores, (3 * B, V)), None, state

    found = beam_search(
        step,
        tf.ones((B, 4)),
        tf.fill((B,), START),
        end_id=END,
        max_length=L,
        beam_width=3,
    )
    assert found.ids.shape == (B, 3, L)


def test_half_precision():
    def step(ids, state):
        logits = tf.one_hot(ids, V, dtype=tf.float16) * 3
        return logits, tf.ones((len(ids), 2), tf.float16), state

    start = (step, (), tf.constant([3, 4]))
    for found in (
        greedy_search(*start, end_id=END, max_length=2),
        beam_search(*start, end_id=END, max_length=2, beam_width=2),
    ):
        assert found.log_probs.dtype == found.alignments.dtype == tf.float32
        np.testing.assert_array_equal(found.ids[:, 0], [[3, 3], [4, 4]])
