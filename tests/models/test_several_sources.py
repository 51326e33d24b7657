"""Tests an encoder-decoder that reads several sources."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import BahdanauAttention
from keras_recurrent.models import Decoder, Encoder, MaskedCrossentropy, Seq2Seq
from tests.oracles import thorough

V, E, U = 9, 3, 4
INPUTS = {
    "source": np.array([[4, 5, 6], [7, 0, 0]]),
    "source_2": np.array([[4, 5, 6, 7, 8], [6, 5, 0, 0, 0]]),
    "target": np.array([[2, 4, 5], [2, 6, 0]]),
}
LABELS = np.array([[4, 5, 3], [6, 3, 0]])
SOURCE = {name: INPUTS[name] for name in ("source", "source_2")}


def model_of_two(cell="simple_rnn", **options):
    return Seq2Seq(
        [Encoder(V, E, U, cell), Encoder(V, E, U + 1, cell)],
        Decoder(V, E, U, cell, num_sources=2, **options),
    )


def reference(model):
    """Bahdanau's decoder with the contexts of both memories side by side."""
    decoder, cell = model.decoder, model.decoder.attention_cell
    read = [
        encoder(ids, mask=ids != 0)
        for encoder, ids in zip(
            model.encoders.values(), SOURCE.values(), strict=True
        )
    ]
    memories = [memory.numpy() for memory, _ in read]
    summary = np.concatenate([summary for _, summary in read], 1)
    kernel, bias = decoder.bridges[0].get_weights()
    state = np.tanh(summary @ kernel + bias)
    kernel, recurrent, bias = cell.cells[0].get_weights()
    output_kernel, output_bias = decoder.output_layer.get_weights()
    logits, looks = [], []
    for t in range(3):
        contexts = []
        for attention, memory, ids in zip(
            cell.attentions, memories, SOURCE.values(), strict=True
        ):
            w_query, w_memory, v = attention.get_weights()
            scores = np.tanh((state @ w_query)[:, None] + memory @ w_memory)
            looked = np.where(ids != 0, np.exp(scores @ v[:, 0]), 0)
            looked /= looked.sum(1, keepdims=True)
            contexts.append(np.einsum("bs,bsm->bm", looked, memory))
            looks.append(looked)
        x = decoder.embedding.get_weights()[0][INPUTS["target"][:, t]]
        read = np.concatenate([x, *contexts], 1)
        state = np.tanh(read @ kernel + state @ recurrent + bias)
        y = np.concatenate([*contexts, state], 1) @ cell.output_kernel
        logits.append(np.tanh(y) @ output_kernel + output_bias)
    return np.stack(logits, 1), np.stack(looks[::2], 1)


@pytest.mark.parametrize("given", [False, True])
def test_equations(seed, given):
    attention = BahdanauAttention(U) if given else "bahdanau"
    model = model_of_two(attention=attention)
    model.build()
    logits, alignments = reference(model)
    np.testing.assert_allclose(model(INPUTS), logits, atol=1e-5)
    compiled = tf.function(model.__call__, jit_compile=True)
    np.testing.assert_allclose(compiled(INPUTS), logits, atol=1e-5)
    for tokens in (1, 1000):
        step, state = model.start(SOURCE, tokens)
        for t in range(3):
            found, looked, state = step(INPUTS["target"][:, t], state)
            np.testing.assert_allclose(found, logits[:, t], atol=1e-5)
            np.testing.assert_allclose(looked, alignments[:, t], atol=1e-5)


@pytest.mark.parametrize(
    "options", [{}, thorough({"query": "new_state"})], ids=str
)
def test_it_trains_decodes_and_loads(seed, tmp_path, options):
    model = model_of_two(**options)
    model.compile(keras.optimizers.Adam(0.01), MaskedCrossentropy())
    losses = model.fit(INPUTS, LABELS, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    found = model.generate(SOURCE, beam_width=2, max_length=4)
    assert found.alignments.shape == (2, 2, 4, 3)
    scored = model.score(SOURCE, found.ids)
    np.testing.assert_allclose(scored.log_probs, found.log_probs, atol=1e-4)
    # Padding of either source changes nothing.
    padded = {k: np.pad(v, [[0, 0], [0, 4]]) for k, v in SOURCE.items()}
    again = model.generate(padded, 2, 4)
    np.testing.assert_allclose(again.log_probs, found.log_probs, atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(INPUTS), model(INPUTS), atol=1e-5)
    model.export(tmp_path / "export", verbose=False)
    served = tf.saved_model.load(tmp_path / "export")
    inputs = {k: tf.constant(v, tf.int32) for k, v in INPUTS.items()}
    np.testing.assert_allclose(served.serve(inputs), model(INPUTS), atol=1e-5)


def test_the_second_source_can_be_copied_beside(seed):
    model = model_of_two(copying=True)
    found = model.generate({**SOURCE, "copies": SOURCE["source"]}, 2, 4)
    assert found.copied.shape == (2, 2, 4)


def test_what_does_not_belong_together():
    with pytest.raises(ValueError, match="number of encoders"):
        Seq2Seq([Encoder(V, E, U), Encoder(V, E, U)], Decoder(V, E, U))
    with pytest.raises(ValueError, match="`num_sources` must be positive"):
        Decoder(V, E, U, num_sources=0)
    with pytest.raises(ValueError, match="source, source_2, each"):
        model_of_two().generate(SOURCE["source"])
