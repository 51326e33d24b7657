"""Tests stacks of `encoder.py` and `decoder.py`: GNMT, residual, bridges."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import Decoder, Encoder, MaskedCrossentropy, Seq2Seq
from tests.oracles import thorough

V, E, U, M, B, T, S = 11, 3, 4, 6, 2, 3, 4


def data():
    rng = np.random.default_rng(0)
    memory = rng.normal(size=(B, S, M)).astype("float32")
    mask = np.arange(S) < np.array([[S], [2]])
    return rng.integers(1, V, (B, T)), memory, memory.sum(1), mask


def reference(decoder, ids, memory, summary, mask):
    """GNMT's decoder (Wu et al. 2016, section 3), of simple RNN cells."""
    cell = decoder.attention_cell
    weights = [part.get_weights() for part in cell.cells]
    w_query, w_memory, v = cell.attentions[0].get_weights()
    states = [
        np.tanh(summary @ kernel + bias)
        for kernel, bias in (bridge.get_weights() for bridge in decoder.bridges)
    ]
    logits = []
    for t in range(ids.shape[1]):
        below = decoder.embedding.get_weights()[0][ids[:, t]]
        scores = np.tanh((states[0] @ w_query)[:, None] + memory @ w_memory)
        looked = np.where(mask, np.exp(scores @ v[:, 0]), 0)
        looked /= looked.sum(1, keepdims=True)
        context = np.einsum("bs,bsm->bm", looked, memory)
        for i, (kernel, recurrent, bias) in enumerate(weights):
            read = np.concatenate([below, context], 1)
            states[i] = np.tanh(read @ kernel + states[i] @ recurrent + bias)
            below = states[i] + (below if i and decoder.residual else 0)
        y = np.tanh(np.concatenate([context, below], 1) @ cell.output_kernel)
        kernel, bias = decoder.output_layer.get_weights()
        logits.append(y @ kernel + bias)
    return np.stack(logits, 1)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_equations_of_gnmt(seed, residual, jit_compile):
    decoder = Decoder(
        V,
        E,
        U,
        "simple_rnn",
        num_layers=3,
        query="bottom_state",
        residual=residual,
    )
    decoder.build((None, None), (None, None, M), (None, M))
    given = data()
    expected = reference(decoder, *given)
    call = tf.function(decoder.__call__, jit_compile=jit_compile)
    np.testing.assert_allclose(call(*given), expected, atol=1e-5)
    ids, memory, summary, mask = given
    prepared, state = decoder.start(memory, summary, mask)
    for t in range(T):
        logits, _, state = decoder.step(ids[:, t], state, prepared)
        np.testing.assert_allclose(logits, expected[:, t], atol=1e-5)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("cell", ["gru", *map(thorough, ("lstm", "sru"))])
def test_gradients_in_training_are_those_of_the_steps(seed, cell, residual):
    decoder = Decoder(
        V,
        E,
        U,
        cell,
        num_layers=2,
        query="bottom_state",
        residual=residual,
    )
    ids, memory, summary, mask = map(tf.constant, data())
    decoder.build((None, None), memory.shape, summary.shape)

    @tf.function
    def by_loop():
        with tf.GradientTape() as tape:
            logits = decoder(ids, memory, summary, mask, training=True)
            loss = tf.reduce_sum(tf.sin(logits))
        return tape.gradient(loss, decoder.trainable_variables)

    with tf.GradientTape() as tape:
        prepared, state = decoder.start(memory, summary, mask)
        loss = 0.0
        for t in range(T):
            logits, _, state = decoder.step(ids[:, t], state, prepared)
            loss += tf.reduce_sum(tf.sin(logits))
    expected = tape.gradient(loss, decoder.trainable_variables)
    for found, by_step in zip(by_loop(), expected, strict=True):
        np.testing.assert_allclose(
            tf.convert_to_tensor(found),
            tf.convert_to_tensor(by_step),
            atol=1e-4,
        )


def test_only_the_first_layer_reads_backwards(seed):
    """The encoder of GNMT: the residual ones start where sizes agree."""
    encoder = Encoder(
        V, E, U, "simple_rnn", 3, bidirectional="first", residual=True
    )
    ids = np.array([[4, 5, 6]])
    memory, summary = encoder(ids)
    assert (encoder.memory_size, encoder.summary_size) == (U, U)
    x = encoder.embedding.get_weights()[0][ids[0]]

    def run(layer, x):
        kernel, recurrent, bias = layer.get_weights()
        state, outputs = np.zeros(U), []
        for step in x:
            state = np.tanh(step @ kernel + state @ recurrent + bias)
            outputs.append(state)
        return np.array(outputs)

    one, two, three = encoder.forward_layers
    (back,) = encoder.backward_layers
    x = np.concatenate([run(one, x), run(back, x[::-1])[::-1]], 1)
    x = run(two, x)
    x = x + (last := run(three, x))
    np.testing.assert_allclose(memory[0], x, atol=1e-5)
    np.testing.assert_allclose(summary[0], last[-1], atol=1e-5)


def test_a_mean_of_the_memory_or_nothing_to_start_from(seed):
    encoder = Encoder(V, E, U, summary="mean")
    ids = np.array([[4, 5, 6], [7, 0, 0]])
    memory, summary = encoder(ids, mask=ids != 0)
    assert encoder.summary_size == 2 * U
    for b, length in enumerate((3, 1)):
        mean = memory[b, :length].numpy().mean(0)
        np.testing.assert_allclose(summary[b], mean, atol=1e-6)
    decoder = Decoder(V, E, U, "lstm", 2, bridge="zeros")
    assert not decoder.bridges
    _, state = decoder.start(memory, summary)
    for leaf in tf.nest.flatten(state.cells):
        assert leaf.shape == (2, U)
        assert not np.any(leaf)


def test_embeddings_are_dropped_at_each_position(seed):
    """All of them alike are read as others in training."""
    decoder = Decoder(V, 50, U, embedding_dropout=0.5)
    decoder.build((None, None), (None, None, M), (None, M))
    seen = []
    run = decoder.attention_cell.run

    def watched(inputs, *rest):
        seen.append(inputs)
        return run(inputs, *rest)

    decoder.attention_cell.run = watched
    memory = tf.ones((1, S, M))
    ids = tf.ones((1, 40), tf.int32)
    for training in (False, True):
        decoder(ids, memory, memory[:, 0], training=training)
    whole, dropped = (x.numpy() for x in seen)
    share = np.mean(dropped == 0)
    assert 0.4 < share < 0.6
    np.testing.assert_allclose(
        dropped[dropped != 0], 2 * whole[dropped != 0], rtol=1e-6
    )
    assert len({row.tobytes() for row in dropped[0] == 0}) == 40
    encoder = Encoder(V, 50, U, embedding_dropout=0.5)
    one, two = (encoder(ids, training=training)[0] for training in (0, 1))
    assert np.abs(one - two).max() > 0.01


@pytest.mark.parametrize("jit_compile", [False, thorough(True)])
def test_gnmt_trains_decodes_and_loads(seed, tmp_path, jit_compile):
    model = Seq2Seq(
        Encoder(
            V,
            E,
            U,
            "simple_rnn",
            3,
            "first",
            embedding_dropout=0.1,
            residual=True,
            summary="mean",
        ),
        Decoder(
            V,
            E,
            U,
            "simple_rnn",
            2,
            query="bottom_state",
            embedding_dropout=0.1,
            residual=True,
        ),
    )
    model.compile("adam", MaskedCrossentropy(), jit_compile=jit_compile)
    ids = np.array([[4, 5, 6], [7, 0, 0]])
    inputs = {"source": ids, "target": np.array([[2, 4, 5], [2, 6, 0]])}
    labels = np.array([[4, 5, 3], [6, 3, 0]])
    losses = model.fit(inputs, labels, epochs=9, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    found = model.generate(ids, 3, 4, jit_compile=jit_compile)
    scored = model.score(ids, found.ids)
    np.testing.assert_allclose(scored.log_probs, found.log_probs, atol=1e-4)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(inputs), model(inputs), atol=1e-5)


def test_values_that_are_none():
    with pytest.raises(ValueError, match="`bidirectional` must be one of"):
        Encoder(V, E, U, bidirectional="last")
    with pytest.raises(ValueError, match="`summary` must be one of"):
        Encoder(V, E, U, summary="sum")
    with pytest.raises(ValueError, match="`bridge` must be 'dense'"):
        Decoder(V, E, U, bridge="copy")
