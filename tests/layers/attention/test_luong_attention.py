"""Multiplicative attention against NumPy and against tensorflow-addons."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import LuongAttention
from tests.oracles import GOLDEN

B, T, S, M, A = 3, 2, 7, 4, 6


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("form", ["general", "dot"])
def test_equations(form, scale, seed):
    size = M if form == "general" else A
    attention = LuongAttention(A, scale=scale, form=form)
    rng = np.random.default_rng(1)
    query = rng.normal(size=(B, T, A)).astype("float32")
    memory = rng.normal(size=(B, S, size)).astype("float32")
    mask = rng.random((B, S)) < 0.5
    mask[0] = False
    attention(query, memory)
    g, kernel = 1.0, np.eye(A)
    if scale:
        g = 0.7
        attention.score_length.assign(g)
    if form == "general":
        kernel = attention.memory_kernel.numpy()
    context, alignments = attention(query, memory, memory_mask=mask)
    for b, t in np.ndindex(B, T):
        weights = np.zeros(S)
        for s in np.flatnonzero(mask[b]):
            weights[s] = np.exp(g * query[b, t] @ (memory[b, s] @ kernel))
        weights /= weights.sum() or 1
        np.testing.assert_allclose(alignments[b, t], weights, atol=1e-5)
        np.testing.assert_allclose(
            context[b, t], weights @ memory[b], atol=1e-5
        )
    # One query alone, and a memory prepared once.
    alone = attention(query[:, 1], attention.prepare_memory(memory, mask))
    np.testing.assert_allclose(alone[1], alignments[:, 1], atol=1e-6)


@pytest.mark.parametrize("name", ["luong", "luong_scaled"])
def test_golden_values_of_tensorflow_addons(name):
    golden = np.load(GOLDEN / f"{name}.npz")
    attention = LuongAttention(A, scale=name == "luong_scaled")
    memory = golden["memory"]
    attention(golden["query1"], memory)
    prefix = "w/LuongAttention/"
    attention.memory_kernel.assign(golden[f"{prefix}memory_layer/kernel"])
    if attention.scale:
        attention.score_length.assign(golden[f"{prefix}attention_g"])
    mask = np.arange(S) < golden["lengths"][:, None]
    for number in (1, 2):
        _, alignments = attention(
            golden[f"query{number}"], memory, memory_mask=mask
        )
        np.testing.assert_allclose(
            alignments, golden[f"align{number}"], atol=1e-5
        )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LuongAttention(0), "units=0"),
        (lambda: LuongAttention(A, form="concat"), "form='concat'"),
        (
            lambda: LuongAttention(A)(tf.ones((B, 2)), tf.ones((B, S, M))),
            "query must be of size units=6",
        ),
        (
            lambda: LuongAttention(A, form="dot")(
                tf.ones((B, A)), tf.ones((B, S, M))
            ),
            "memory must be of size units=6",
        ),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
