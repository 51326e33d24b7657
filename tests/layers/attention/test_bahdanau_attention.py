"""Additive attention against NumPy and against tensorflow-addons.

Tests `attention.py` and `memory.py`.
"""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import BahdanauAttention
from tests.oracles import GOLDEN

B, S, M, U, A = 3, 7, 4, 6, 5


@pytest.fixture
def attention(seed):
    layer = BahdanauAttention(A)
    layer(tf.zeros((B, U)), tf.zeros((B, S, M)))
    return layer


def data():
    rng = np.random.default_rng(1)
    query = rng.normal(size=(B, U)).astype("float32")
    memory = rng.normal(size=(B, S, M)).astype("float32")
    return query, memory, rng.random((B, S)) < 0.5


def reference(query, memory, mask, w_query, w_memory, v):
    alignments = np.zeros((B, S))
    for b in range(B):
        seen = np.flatnonzero(mask[b])
        if not len(seen):
            continue
        scores = [
            v[:, 0] @ np.tanh(query[b] @ w_query + memory[b, s] @ w_memory)
            for s in seen
        ]
        weights = np.exp(scores - np.max(scores))
        alignments[b, seen] = weights / weights.sum()
    return np.einsum("bs,bsm->bm", alignments, memory), alignments


def test_equations(attention):
    query, memory, mask = data()
    for memory_mask, seen in ((None, np.ones((B, S), bool)), (mask, mask)):
        context, alignments = attention(query, memory, memory_mask=memory_mask)
        expected = reference(query, memory, seen, *attention.get_weights())
        np.testing.assert_allclose(context, expected[0], atol=1e-5)
        np.testing.assert_allclose(alignments, expected[1], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bahdanau", {}),
        ("bahdanau_hardmax", {"probability_fn": "hardmax"}),
        ("bahdanau_normalized", {"normalize": True}),
    ],
)
def test_golden_values_of_tensorflow_addons(name, options):
    golden = np.load(GOLDEN / f"{name}.npz")
    attention = BahdanauAttention(A, **options)
    memory = golden["memory"]
    mask = np.arange(S) < golden["lengths"][:, None]
    attention(golden["query1"], memory)
    prefix = "w/BahdanauAttention/"
    weights = [
        golden[f"{prefix}kernel"],
        golden[f"{prefix}memory_layer/kernel"],
        golden[f"{prefix}attention_v"][:, None],
    ]
    if attention.normalize:
        weights.append(golden[f"{prefix}attention_g"])
        weights.append(golden[f"{prefix}attention_b"])
    attention.set_weights(weights)
    for number in (1, 2):
        _, alignments = attention(
            golden[f"query{number}"], memory, memory_mask=mask
        )
        np.testing.assert_allclose(
            alignments, golden[f"align{number}"], atol=1e-5
        )


def test_many_queries_are_as_many_single_ones(attention):
    _, memory, mask = data()
    queries = np.random.default_rng(2).normal(size=(B, 5, U)).astype("float32")
    contexts, alignments = attention(queries, memory, memory_mask=mask)
    assert contexts.shape == (B, 5, M)
    assert alignments.shape == (B, 5, S)
    for t in range(5):
        context, alignment = attention(queries[:, t], memory, memory_mask=mask)
        np.testing.assert_allclose(contexts[:, t], context, atol=1e-6)
        np.testing.assert_allclose(alignments[:, t], alignment, atol=1e-6)


def test_a_memory_can_be_prepared_once(attention):
    query, memory, mask = data()
    prepared = attention.prepare_memory(memory, mask)
    np.testing.assert_allclose(
        prepared.keys, memory @ attention.memory_kernel.numpy(), atol=1e-6
    )
    at_once = attention(query, memory, memory_mask=mask)
    np.testing.assert_array_equal(attention(query, prepared)[0], at_once[0])
    # Its keys are used, not computed again.
    others = prepared._replace(keys=prepared.keys + 1.0)
    assert not np.allclose(attention(query, others)[1], at_once[1])


def test_a_mask_beside_a_prepared_memory(attention):
    query, memory, mask = data()
    prepared = attention.prepare_memory(memory)
    with pytest.raises(ValueError, match="give it to `prepare_memory`"):
        attention(query, prepared, memory_mask=mask)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_nothing_to_look_at_gives_zeros(dtype):
    attention = BahdanauAttention(A, dtype=dtype)
    query, memory, _ = data()
    query, memory = tf.constant(query), tf.constant(memory)
    mask = tf.constant([[True] * S, [False] * S, [False] * S])
    with tf.GradientTape() as tape:
        tape.watch([query, memory])
        context, alignments = attention(query, memory, memory_mask=mask)
        loss = tf.reduce_sum(context)
    np.testing.assert_array_equal(context[1:], np.zeros((B - 1, M)))
    np.testing.assert_array_equal(alignments[1:], np.zeros((B - 1, S)))
    np.testing.assert_allclose(
        tf.reduce_sum(tf.cast(alignments[0], tf.float32)), 1.0, atol=1e-3
    )
    gradients = tape.gradient(
        loss, [query, memory, *attention.trainable_variables]
    )
    for gradient in gradients:
        assert np.isfinite(gradient).all()
    context, alignments = attention(query, memory[:, :0])
    np.testing.assert_array_equal(context, np.zeros((B, M)))
    assert alignments.shape == (B, 0)


def test_bad_units():
    with pytest.raises(ValueError, match="units=0"):
        BahdanauAttention(0)
