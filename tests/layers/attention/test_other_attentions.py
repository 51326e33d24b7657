"""Location-sensitive, coverage and multi-head attention, in NumPy.

Tests `coverage_attention.py`, `location_sensitive_attention.py`,
`multi_head_attention.py` and `recalling_attention.py`.
"""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import (
    BahdanauAttention,
    CoverageAttention,
    LocationSensitiveAttention,
    LuongAttention,
    Memory,
    MultiHeadAttention,
)

B, T, S, M, U, A = 3, 4, 7, 4, 6, 8


def data():
    rng = np.random.default_rng(1)
    queries = rng.normal(size=(B, T, U)).astype("float32")
    memory = rng.normal(size=(B, S, M)).astype("float32")
    mask = np.arange(S) < np.array([[S], [3], [0]])
    return queries, memory, mask


def weights_of(layer):
    """By name, with values that no initialiser gives."""
    rng = np.random.default_rng(2)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    return {weight.name: weight.numpy() for weight in layer.weights}


def softmax(scores, mask):
    weights = np.where(mask, np.exp(scores), 0)
    return weights / np.maximum(weights.sum(-1, keepdims=True), 1e-30)


def location(w, previous):
    """Features of alignments (B, S), position by position."""
    filters = w["location_filters"][:, 0]  # (width, F)
    width = len(filters)
    features = np.zeros((B, S, filters.shape[1]))
    for s in range(S):
        for k in range(width):
            at = s + k - (width - 1) // 2
            if 0 <= at < S:
                features[:, s] += previous[:, at, None] * filters[k]
    return features @ w["location_kernel"]


CASES = {
    "location": (
        lambda: LocationSensitiveAttention(A, filters=3, kernel_size=4),
        location,
        lambda state, alignments: alignments,
    ),
    "coverage": (
        lambda: CoverageAttention(A),
        lambda w, coverage: coverage[..., None] * w["coverage_kernel"][0],
        lambda state, alignments: state + alignments,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_equations_of_those_with_a_state(case, seed):
    make, term, advance = CASES[case]
    attention = make()
    queries, memory, mask = data()
    attention(queries, memory)
    w = weights_of(attention)
    state = np.zeros((B, S))
    expected = []
    for t in range(T):
        meeting = (queries[:, t] @ w["query_kernel"])[:, None]
        meeting = meeting + memory @ w["memory_kernel"] + term(w, state)
        alignments = softmax(np.tanh(meeting) @ w["score_kernel"][:, 0], mask)
        expected.append(alignments)
        state = advance(state, alignments)
    expected = np.stack(expected, 1)
    contexts, alignments = attention(queries, memory, memory_mask=mask)
    np.testing.assert_allclose(alignments, expected, atol=1e-5)
    np.testing.assert_allclose(contexts, expected @ memory, atol=1e-5)
    # One by one.
    prepared = attention.prepare_memory(memory, mask)
    its_state = attention.get_initial_state(prepared)
    for t in range(T):
        _, looked = attention(queries[:, t], prepared, state=its_state)
        np.testing.assert_allclose(looked, expected[:, t], atol=1e-5)
        its_state = attention.next_state(its_state, looked)


@pytest.mark.parametrize("probability", ["sparsemax", "monotonic"])
@pytest.mark.parametrize("case", CASES)
def test_score_and_probability_combine(case, probability, seed):
    """Step by step as at once, also where both have a state."""
    attention = type(CASES[case][0]())(A, probability_fn=probability)
    queries, memory, mask = data()
    _, at_once = attention(queries, memory, memory_mask=mask)
    prepared = attention.prepare_memory(memory, mask)
    state = attention.get_initial_state(prepared)
    assert len(state) == 1 + (probability == "monotonic")
    for t in range(T):
        _, looked = attention(queries[:, t], prepared, state=state)
        np.testing.assert_allclose(looked, at_once[:, t], atol=1e-5)
        state = attention.next_state(state, looked)
    clone = type(attention).from_config(attention.get_config())
    assert clone.get_config() == attention.get_config()


@pytest.mark.parametrize("form", ["dot", "additive"])
def test_equations_of_heads(form, seed):
    heads, size = 2, A // 2
    attention = MultiHeadAttention(A, heads, form)
    queries, memory, mask = data()
    attention(queries, memory)
    w = weights_of(attention)
    contexts, alignments = attention(queries, memory, memory_mask=mask)
    query, keys, values = (
        x @ w[f"{name}_kernel"]
        for x, name in (
            (queries, "query"),
            (memory, "memory"),
            (memory, "value"),
        )
    )
    means = np.zeros((B, T, S))
    for h in range(heads):
        own = slice(h * size, (h + 1) * size)
        q, k = query[:, :, None, own], keys[:, None, :, own]
        if form == "dot":
            scores = (q * k).sum(-1) / np.sqrt(size)
        else:
            scores = np.tanh(q + k) @ w["score_kernel"][h]
        looked = softmax(scores, mask[:, None])
        means += looked / heads
        np.testing.assert_allclose(
            contexts[..., own], looked @ values[..., own], atol=1e-5
        )
    np.testing.assert_allclose(alignments, means, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [*(make for make, *_ in CASES.values()), lambda: MultiHeadAttention(A)],
)
def test_nothing_to_look_at_gives_zeros(make, seed):
    attention = make()
    queries, memory, _ = data()
    attention(queries, memory)
    with tf.GradientTape() as tape:
        contexts, alignments = attention(
            queries, memory, memory_mask=np.zeros((B, S), bool)
        )
        loss = tf.reduce_sum(contexts)
    for gradient in tape.gradient(loss, attention.trainable_variables):
        assert np.isfinite(gradient).all()
    assert not contexts.numpy().any() and not alignments.numpy().any()
    contexts, alignments = attention(queries, memory[:, :0])
    assert not contexts.numpy().any() and alignments.shape == (B, T, 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MultiHeadAttention(A, 3), "num_heads=3, units=8"),
        (lambda: MultiHeadAttention(A, 2, "cosine"), "form='cosine'"),
        (lambda: MultiHeadAttention(A, 2, probability_fn="monotonic"), "mean"),
        (lambda: LocationSensitiveAttention(A, filters=0), "filters=0"),
        (lambda: LocationSensitiveAttention(A, kernel_size=0), "kernel_size=0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "make",
    [
        BahdanauAttention,
        LuongAttention,
        CoverageAttention,
        LocationSensitiveAttention,
        lambda units: MultiHeadAttention(units, num_heads=2),
    ],
)
def test_what_is_not_built_says_what_to_call(make, seed):
    fresh = make(4)
    values = tf.ones((2, 3, 5))
    for use in (
        lambda: fresh.prepare_memory(values),
        lambda: fresh(tf.ones((2, 4)), Memory(values, values, None)),
    ):
        with pytest.raises(ValueError, match="not built.*`build.query_shape"):
            use()
    # Nothing is left behind: it can be built after all.
    context, _ = fresh(tf.ones((2, 4)), values)
    prepared = fresh.prepare_memory(values)
    np.testing.assert_allclose(fresh(tf.ones((2, 4)), prepared)[0], context)
