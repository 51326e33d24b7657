"""Monotonic alignments against their definition and tensorflow-addons."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from keras_recurrent.layers import BahdanauAttention, LuongAttention, Monotonic
from tests.oracles import GOLDEN, tried

MODES = ["parallel", "recursive", "hard"]
B, T, S, M, U, A = 3, 4, 7, 4, 6, 5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["bahdanau", "luong"])
def test_golden_values_of_tensorflow_addons(name, mode):
    golden = np.load(GOLDEN / f"{name}_monotonic_{mode}.npz")
    probability = Monotonic(mode)
    if name == "bahdanau":
        attention = BahdanauAttention(A, probability_fn=probability)
    else:
        attention = LuongAttention(U, probability_fn=probability)
    memory = golden["memory"]
    attention(golden["query1"], memory)
    prefix = f"w/{name.capitalize()}MonotonicAttention/"
    probability.stop_bias.assign(golden[f"{prefix}attention_score_bias"])
    attention.memory_kernel.assign(golden[f"{prefix}memory_layer/kernel"])
    if name == "bahdanau":
        attention.query_kernel.assign(golden[f"{prefix}kernel"])
        attention.score_kernel.assign(golden[f"{prefix}attention_v"][:, None])
    mask = np.arange(S) < golden["lengths"][:, None]
    prepared = attention.prepare_memory(memory, mask)
    state = attention.get_initial_state(prepared)
    np.testing.assert_array_equal(state[0], golden["initial_state"])
    for number in (1, 2):
        _, alignments = attention(
            golden[f"query{number}"], prepared, state=state
        )
        np.testing.assert_allclose(
            alignments, golden[f"align{number}"], atol=1e-5
        )
        state = attention.next_state(state, alignments)
        np.testing.assert_allclose(
            state[0], golden[f"state{number}"], atol=1e-5
        )


def reference(scores, mask, previous, mode):
    """The equations of the docstring, position by position."""
    alignments = np.zeros_like(previous)
    for row in range(len(scores)):
        come = 0.0
        for s in range(scores.shape[1]):
            stop = 1 / (1 + np.exp(-scores[row, s]))
            if mode == "hard":
                stop = float(scores[row, s] > 0)
            stop *= mask[row, s]
            come += previous[row, s]
            alignments[row, s] = stop * come
            come *= 1 - stop
    return alignments


@tried(few=10, many=60)
@given(
    scores=arrays.arrays(
        "float32", (B, S), elements=st.floats(-4, 4, width=16)
    ),
    mask=arrays.arrays("bool", (B, S)),
    place=st.integers(0, S - 1),
)
@pytest.mark.parametrize("mode", MODES)
def test_equations(mode, scores, mask, place):
    probability = Monotonic(mode)
    previous = np.zeros((B, S))
    # Between two positions, as a query may have been before.
    previous[:, place] += 0.7
    previous[:, 0] += 0.3
    if mode == "hard":
        previous = np.eye(S)[[place] * B]
    found = probability(
        tf.constant(scores),
        tf.constant(mask),
        tf.constant(previous, tf.float32),
    )
    np.testing.assert_allclose(
        found, reference(scores, mask, previous, mode), atol=1e-5
    )


def test_noise_is_for_training_only(seed):
    attention = BahdanauAttention(
        A, probability_fn=Monotonic(sigmoid_noise=2.0, seed=1)
    )
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(B, T, U)).astype("float32")
    memory = rng.normal(size=(B, S, M)).astype("float32")
    plain, again = (attention(queries, memory)[1] for _ in range(2))
    np.testing.assert_array_equal(plain, again)
    noisy, other = (
        attention(queries, memory, training=True)[1] for _ in range(2)
    )
    assert not np.allclose(noisy, plain, atol=0.01)
    assert not np.allclose(noisy, other, atol=0.01)
    # Its size: the scores that explain the first stops, for one query each.
    many = tf.constant(np.repeat(queries[:1, 0], 4000, 0))
    memories = tf.constant(np.repeat(memory[:1], 4000, 0))
    first = attention(many, memories, training=True)[1][:, 0].numpy()
    scores = np.log(first / (1 - first))
    assert 1.9 < scores.std() < 2.1


@pytest.mark.parametrize("mode", MODES)
def test_it_never_looks_back(mode, seed):
    attention = LuongAttention(U, probability_fn=Monotonic(mode))
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(B, 9, U)).astype("float32")
    memory = 3 * rng.normal(size=(B, S, M)).astype("float32")
    _, alignments = attention(queries, memory)
    come = np.cumsum(alignments, axis=-1)  # (B, T, S)
    assert (np.diff(come, axis=1) < 1e-5).all()


def test_config_keeps_it():
    attention = LuongAttention(
        U, probability_fn=Monotonic("recursive", 0.5, -1.0, seed=3)
    )
    clone = LuongAttention.from_config(attention.get_config())
    assert clone.get_config() == attention.get_config()
    assert clone.probability_fn.mode == "recursive"
    assert clone.probability_fn.stop_bias.numpy() == -1.0
    named = LuongAttention(U, probability_fn="monotonic")
    assert named.monotonic.mode == "parallel"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"mode": "soft"}, "mode='soft'"), ({"sigmoid_noise": -1}, "-1")],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Monotonic(**arguments)
