"""Tests the dropout of alignments in `attention.py`."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import AttentionCell, GRUCell
from keras_recurrent.layers.attention import ATTENTIONS

B, T, S, M, U, A = 2, 5, 40, 8, 8, 8


@pytest.mark.parametrize("name", sorted(ATTENTIONS))
def test_what_is_dropped_is_not_read(name, seed):
    attention = ATTENTIONS[name](A, dropout=0.5)
    memory = tf.random.normal((B, S, M))
    query = tf.random.normal((B, T, U))
    whole, looked = attention(query, memory)
    context, alignments = attention(query, memory, training=True)
    np.testing.assert_allclose(tf.reduce_sum(alignments, -1), 1, rtol=1e-5)
    assert np.abs(context - whole).max() > 1e-3
    if name in ("coverage", "location_sensitive"):
        return  # Their alignments are those of steps before.
    np.testing.assert_allclose(alignments, looked, atol=1e-6)
    prepared = attention.prepare_memory(memory)
    noise = attention.noise((B, T), prepared, training=True)
    share = np.mean(noise == 0)
    assert 0.4 < share < 0.6
    assert set(np.unique(noise)) == {0, 2}
    if name == "multi_head":
        return
    found, _ = attention.attend(
        attention.project_query(query), prepared, noise=noise
    )
    expected = np.einsum("bts,bts,bsm->btm", looked, noise, memory)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("query", ["previous_state", "new_state"])
def test_it_reaches_the_loops(query, seed):
    """In expectation over many drawings nothing changes."""
    attention = ATTENTIONS["bahdanau"](A, dropout=0.5)
    cell = AttentionCell(GRUCell(U), attention, units=None, query=query)
    cell.build((None, 3), (None, None, M))
    values = tf.random.normal((1, S, M))
    memory = cell.prepare_memory(tf.repeat(values, 400, axis=0))
    inputs = tf.repeat(tf.random.normal((1, 1, 3)), 400, axis=0)
    run = tf.function(cell.run)
    state = cell.get_initial_state(memory)
    whole, looked = run(inputs, state, memory)
    dropped, alignments = run(inputs, state, memory, training=True)
    np.testing.assert_allclose(alignments, looked, atol=1e-6)
    assert np.std(dropped, axis=0).max() > 1e-3
    np.testing.assert_allclose(
        np.mean(dropped, axis=0), np.mean(whole, axis=0), atol=0.05
    )


def test_rates_that_are_none():
    with pytest.raises(ValueError, match="`dropout` must be in"):
        ATTENTIONS["luong"](A, dropout=1.0)
    with pytest.raises(ValueError, match="0 for monotonic"):
        ATTENTIONS["luong"](A, dropout=0.1, probability_fn="monotonic")
    rebuilt = ATTENTIONS["luong"](A, dropout=0.1)
    assert rebuilt.from_config(rebuilt.get_config()).dropout == 0.1
