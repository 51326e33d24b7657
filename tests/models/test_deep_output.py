"""The conditional decoder with a deep output, against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import Decoder, Encoder, MaskedCrossentropy, Seq2Seq
from tests.oracles import thorough

V, E, U, N, M, B, T, S = 11, 3, 4, 5, 6, 2, 3, 4


@pytest.fixture
def decoder(seed):
    decoder = Decoder(
        V,
        E,
        U,
        cell="simple_rnn",
        query="conditional",
        deep_output=True,
        output_size=N,
        output_dropout=0.5,
    )
    decoder.build((None, None), (None, None, M), (None, M))
    rng = np.random.default_rng(1)
    for variable in decoder.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return decoder


def data():
    rng = np.random.default_rng(0)
    memory = rng.normal(size=(B, S, M)).astype("float32")
    mask = np.arange(S) < np.array([[S], [2]])
    return rng.integers(1, V, (B, T)), memory, memory.sum(1), mask


def reference(decoder, ids, memory, summary, mask):
    """The equations of Sennrich et al. (2017) and Bahdanau et al. (2015)."""
    cell = decoder.attention_cell
    one, two = (part.get_weights() for part in cell.cells)
    (attention,) = cell.attentions
    w_query, w_memory, v = attention.get_weights()
    w_y, (w_x, b_x) = (
        np.asarray(cell.output_kernel),
        (decoder.deep_layer.get_weights()),
    )
    (bridge,) = (bridge.get_weights() for bridge in decoder.bridges)
    state = np.tanh(summary @ bridge[0] + bridge[1])
    logits = []
    for t in range(ids.shape[1]):
        x = decoder.embedding.get_weights()[0][ids[:, t]]
        between = np.tanh(x @ one[0] + state @ one[1] + one[2])
        scores = np.tanh((between @ w_query)[:, None] + memory @ w_memory)
        weights = np.where(mask, np.exp(scores @ v[:, 0]), 0)
        weights /= weights.sum(1, keepdims=True)
        context = np.einsum("bs,bsm->bm", weights, memory)
        state = np.tanh(context @ two[0] + between @ two[1] + two[2])
        y = np.concatenate([context, state], 1) @ w_y + x @ w_x + b_x
        kernel, bias = decoder.output_layer.get_weights()
        logits.append(np.tanh(y) @ kernel + bias)
    return np.stack(logits, 1)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_equations(decoder, jit_compile):
    ids, memory, summary, mask = data()
    expected = reference(decoder, ids, memory, summary, mask)
    call = tf.function(decoder.__call__, jit_compile=jit_compile)
    np.testing.assert_allclose(
        call(ids, memory, summary, mask), expected, atol=1e-5
    )
    prepared, state = decoder.start(memory, summary, mask)
    table = decoder.input_table()
    for t in range(T):
        logits, _, _ = decoder.step(ids[:, t], state, prepared)
        looked_up, _, state = decoder.step(ids[:, t], state, prepared, table)
        np.testing.assert_allclose(logits, expected[:, t], atol=1e-5)
        np.testing.assert_allclose(looked_up, expected[:, t], atol=1e-5)


def test_the_output_is_dropped_in_training(decoder):
    ids, memory, summary, mask = data()
    outputs, _ = decoder(
        ids, memory, summary, mask, project=False, training=True
    )
    whole, _ = decoder(ids, memory, summary, mask, project=False)
    assert outputs.shape == (B, T, N)
    kept = outputs.numpy() != 0
    assert 0 < kept.sum() < kept.size
    np.testing.assert_allclose(
        outputs.numpy()[kept], 2 * whole.numpy()[kept], rtol=1e-5
    )


def test_the_memory_is_dropped_in_training(seed):
    encoder = Encoder(V, E, U, output_dropout=0.5)
    ids = tf.ones((2, 50), tf.int32)
    memory, summary = encoder(ids, training=True)
    whole, expected = encoder(ids)
    share = np.mean(memory.numpy() == 0)
    assert 0.3 < share < 0.7
    np.testing.assert_allclose(summary, expected, atol=1e-6)
    assert (whole.numpy() != 0).all()


@pytest.mark.parametrize(
    "cell", ["gru", *(thorough(cell) for cell in ("lstm", "lru", "sru"))]
)
def test_it_trains_saves_and_decodes(cell, seed, tmp_path):
    model = Seq2Seq(
        Encoder(V, E, U, cell=cell, output_dropout=0.1),
        Decoder(
            V,
            E,
            U,
            cell=cell,
            num_layers=2,
            query="conditional",
            deep_output=True,
            output_size=E,
            tie_embeddings=True,
            output_dropout=0.1,
        ),
        start_id=2,
        end_id=3,
    )
    model.compile(keras.optimizers.Adam(0.02), MaskedCrossentropy())
    rng = np.random.default_rng(0)
    source, labels = rng.integers(3, V, (2, 16, 5))
    target = np.concatenate([np.full((16, 1), 2), labels[:, :-1]], 1)
    inputs = {"source": source, "target": target}
    history = model.fit(inputs, labels, epochs=9, verbose=0).history["loss"]
    assert history[-1] < history[0] - 0.05
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(inputs), model(inputs), atol=1e-6)
    found = model.generate(source, beam_width=3, max_length=6)
    again = loaded.generate(source, beam_width=3, max_length=6)
    np.testing.assert_array_equal(found.ids, again.ids)
    # What the search says is what teacher forcing says.
    scored = model.score(source, found.ids)
    np.testing.assert_allclose(scored.scores, found.scores, atol=1e-4)


def test_bad_arguments():
    with pytest.raises(ValueError, match="exclude each other"):
        Decoder(
            V, E, U, query="new_state", input_feeding=True, deep_output=True
        )
    with pytest.raises(ValueError, match="embedding_dim=3, output_size=5"):
        Decoder(V, E, E, tie_embeddings=True, output_size=5)
