"""Tests `pyramid.py`, and the encoder that reads two steps as one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import Decoder, Encoder, MaskedCrossentropy, Seq2Seq
from keras_recurrent.models.pyramid import any_of_pairs, in_pairs, shared_out

V, E, U = 9, 3, 4
IDS = np.array([[4, 5, 6, 7, 8, 4, 5], [6, 7, 8, 0, 0, 0, 0]])


def test_pairs():
    x = np.arange(14.0).reshape(1, 7, 2)
    mask = np.array([[1, 1, 1, 1, 1, 0, 0]]) == 1
    expected = [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 0], [0, 0, 0, 0]]]
    np.testing.assert_array_equal(in_pairs(x, mask), expected)
    np.testing.assert_array_equal(any_of_pairs(mask), [[1, 1, 1, 0]])
    assert in_pairs(x).shape == (1, 4, 4)


@pytest.mark.parametrize("stride", [2, 4])
def test_alignments_are_shared_out(stride):
    mask = IDS != 0
    joined = -(-7 // stride)
    alignments = np.random.default_rng(0).random((2, 3, joined))
    found = shared_out(tf.constant(alignments), mask, stride).numpy()
    for b in range(2):
        for i in range(joined):
            steps = [s for s in range(7) if s // stride == i and mask[b, s]]
            for s in steps:
                share = alignments[b, :, i] / len(steps)
                np.testing.assert_allclose(found[b, :, s], share)
    assert np.all(found[1, :, 3:] == 0)


def test_equations(seed):
    """Three layers one way, of simple RNN, step by step."""
    encoder = Encoder(
        V, E, U, "simple_rnn", num_layers=3, bidirectional=False, pyramid=True
    )
    memory, summary = encoder(IDS, mask=IDS != 0)
    assert encoder.stride == 4
    assert memory.shape == (2, 2, U)
    assert memory.shape == encoder.compute_output_shape((2, 7))[0]
    for b, length in enumerate((7, 3)):
        x = encoder.embedding.get_weights()[0][IDS[b, :length]]
        for level, layer in enumerate(encoder.forward_layers):
            if level:
                x = np.concatenate([x, np.zeros((len(x) % 2, U))])
                x = x.reshape(-1, 2 * U)
            kernel, recurrent, bias = layer.get_weights()
            state, outputs = np.zeros(U), []
            for step in x:
                state = np.tanh(step @ kernel + state @ recurrent + bias)
                outputs.append(state)
            x = np.array(outputs)
        np.testing.assert_allclose(memory[b, : len(x)], x, atol=1e-5)
        np.testing.assert_allclose(summary[b], x[-1], atol=1e-5)
    kept = encoder.memory_mask(IDS != 0)
    np.testing.assert_array_equal(kept, [[1, 1], [1, 0]])


def test_it_trains_decodes_and_loads(seed, tmp_path):
    model = Seq2Seq(
        Encoder(V, E, U, "simple_rnn", num_layers=2, pyramid=True),
        Decoder(V, E, U, "simple_rnn"),
    )
    model.compile("adam", MaskedCrossentropy())
    inputs = {"source": IDS, "target": np.array([[2, 4, 5], [2, 6, 0]])}
    labels = np.array([[4, 5, 3], [6, 3, 0]])
    history = model.fit(inputs, labels, epochs=9, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < losses[0]
    found = model.generate(IDS, beam_width=2, max_length=4)
    compiled = model.generate(IDS, 2, 4, jit_compile=True)
    np.testing.assert_array_equal(found.ids, compiled.ids)
    # Where it looked, in source tokens.
    assert found.alignments.shape == (2, 2, 4, 7)
    looked = found.alignments.numpy().sum(-1)
    np.testing.assert_allclose(looked, found.ids.numpy() != 0, atol=1e-5)
    assert np.all(found.alignments[1, ..., 3:] == 0)
    padded = model.generate(np.pad(IDS, [[0, 0], [0, 5]]), 2, 4)
    np.testing.assert_allclose(
        padded.log_probs, found.log_probs, atol=1e-5, rtol=1e-5
    )
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(inputs), model(inputs), atol=1e-5)


def test_what_excludes_each_other():
    with pytest.raises(ValueError, match="`residual` and `pyramid`"):
        Encoder(V, E, U, num_layers=2, residual=True, pyramid=True)
    with pytest.raises(ValueError, match="memory of a pyramid"):
        Seq2Seq(
            Encoder(V, E, U, num_layers=2, pyramid=True),
            Decoder(V, E, U, copying=True),
        )
