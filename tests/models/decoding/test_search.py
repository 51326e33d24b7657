"""What greedy and beam search have in common.

The model is a table: the next token depends on the two before it, so that
beams must carry their own state to be right.

Tests `backtracking.py`, `beam_search.py`, `greedy_search.py`, `hypotheses.py`
and `token_by_token.py`.
"""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models.decoding.beam_search import beam_search
from keras_recurrent.models.decoding.greedy_search import greedy_search

V, B, S, START, END = 5, 3, 4, 2, 3
# Tokens that mean something: not padding (0), not the start (2).
TOKENS = [1, 3, 4]


def tables(seed, end_bias=0.0):
    """(B, V, V, V): log-probabilities given the two tokens before."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(B, V, V, V)) * 1.5
    logits[..., [0, 2]] = -1e9
    logits[..., END] += end_bias
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def make_step(table):
    table = tf.constant(table, tf.float32)

    def step(ids, state):
        before, sentence = state
        log_probs = tf.gather_nd(table, tf.stack([sentence, before, ids], 1))
        # Where it looked tells which token it was at.
        alignments = tf.one_hot(ids % S, S)
        return log_probs, alignments, (ids, sentence)

    return step


def start(sentences=B):
    state = (tf.fill([sentences], START), tf.range(sentences))
    return state, tf.fill([sentences], START)


def log_prob(table, output):
    before, last, total = START, START, 0.0
    for token in output:
        total += table[before, last, token]
        before, last = last, token
    return total


def expected_alignments(ids):
    """One-hot of the token before, up to the end."""
    looks = np.zeros((len(ids), S))
    last = START
    for t, token in enumerate(ids):
        if token == 0:
            break
        looks[t, last % S] = 1
        last = token
    return looks


def test_alignments_follow_the_hypotheses():
    state, start_ids = start()
    step = make_step(tables(5))
    options = {"end_id": END, "max_length": 6}
    for found in (
        greedy_search(step, state, start_ids, **options),
        beam_search(step, state, start_ids, beam_width=3, **options),
    ):
        for b, k in itertools.product(range(B), range(found.ids.shape[1])):
            np.testing.assert_allclose(
                found.alignments[b, k], expected_alignments(found.ids[b, k])
            )


def test_greedy_takes_the_best_token_at_each_step():
    table = tables(3)
    state, start_ids = start()
    found = greedy_search(
        make_step(table), state, start_ids, end_id=END, max_length=6
    )
    for b in range(B):
        output = []
        before, last = START, START
        while len(output) < 6 and (not output or output[-1] != END):
            output.append(int(table[b, before, last].argmax()))
            before, last = last, output[-1]
        np.testing.assert_array_equal(found.ids[b, 0, : len(output)], output)
        assert not found.ids[b, 0, len(output) :].numpy().any()
        np.testing.assert_allclose(
            found.log_probs[b, 0], log_prob(table[b], output), rtol=1e-4
        )
        assert found.lengths[b, 0] == len([t for t in output if t != END])


@pytest.mark.parametrize("search", ["greedy", "beam"])
def test_the_loop_stops_when_all_have_ended(search):
    steps = tf.Variable(0)
    inner = make_step(tables(0, end_bias=50.0))

    def step(ids, state):
        steps.assign_add(1)
        return inner(ids, state)

    state, start_ids = start()
    options = {"end_id": END, "max_length": 40}
    if search == "greedy":
        greedy_search(step, state, start_ids, **options)
        assert steps == 1
    else:
        # Beams 2 and 3 need some steps more to end.
        found = beam_search(step, state, start_ids, beam_width=3, **options)
        assert steps < 10
        assert found.ids.shape == (B, 3, 40)


def test_eager_graph_and_xla_agree():
    table = tables(8)
    state, start_ids = start()

    def search(state, start_ids):
        options = {"end_id": END, "max_length": 6}
        step = make_step(table)
        return (
            greedy_search(step, state, start_ids, **options),
            beam_search(
                step,
                state,
                start_ids,
                beam_width=4,
                length_penalty=0.8,
                **options,
            ),
        )

    expected = search(state, start_ids)
    for jit_compile in (False, True):
        found = tf.function(search, jit_compile=jit_compile, autograph=False)(
            state, start_ids
        )
        for a, b in zip(
            tf.nest.flatten(found), tf.nest.flatten(expected), strict=True
        ):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_fewer_outputs_than_beams():
    table = np.full((B, V, V, V), -1e9)
    table[..., END] = 0.0  # only the empty output
    state, start_ids = start()
    found = beam_search(
        make_step(table),
        state,
        start_ids,
        end_id=END,
        max_length=3,
        beam_width=2,
    )
    np.testing.assert_array_equal(found.ids[:, 0], [[END, 0, 0]] * B)
    assert (found.scores[:, 1].numpy() < -1e8).all()
