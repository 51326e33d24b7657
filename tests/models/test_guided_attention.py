"""The loss of alignments against NumPy, and what it does to a model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import (
    Decoder,
    Encoder,
    MaskedCrossentropy,
    Seq2Seq,
    guided_attention_loss,
)
from tests.oracles import thorough

B, T, S, V = 4, 5, 5, 8


def test_definition():
    rng = np.random.default_rng(0)
    alignments = rng.dirichlet(np.ones(S), (B, T)).astype("float32")
    reference = (rng.random((B, T, S)) < 0.3).astype("float32")
    assert not reference.any(-1).all()
    losses = [
        -(row / row.sum() * np.log(look)).sum()
        for row, look in zip(
            reference.reshape(-1, S), alignments.reshape(-1, S), strict=True
        )
        if row.any()
    ]
    np.testing.assert_allclose(
        guided_attention_loss(alignments, reference),
        np.mean(losses),
        rtol=1e-5,
    )


def test_nothing_known_and_nothing_looked_at():
    alignments = tf.zeros((B, T, S))
    with tf.GradientTape() as tape:
        tape.watch(alignments)
        loss = guided_attention_loss(alignments, tf.ones((B, T, S)))
    assert np.isfinite(loss)
    assert np.isfinite(tape.gradient(loss, alignments)).all()
    assert guided_attention_loss(alignments, alignments) == 0.0


@pytest.mark.thorough
def test_it_moves_attention():
    """To the last position first, whatever the words."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    inputs = {
        "source": rng.integers(1, V, (64, S)),
        "target": rng.integers(1, V, (64, T)),
        "alignments": np.tile(np.eye(S)[::-1], (64, 1, 1)).astype("float32"),
    }
    model = Seq2Seq(Encoder(V, 8, 8), Decoder(V, 8, 8), guided_attention=1.0)
    model.build()
    model.compile(keras.optimizers.Adam(0.02), MaskedCrossentropy())
    labels = rng.integers(1, V, (64, T))
    plain = Seq2Seq(model.encoder, model.decoder)
    plain.compile(loss=MaskedCrossentropy())

    def guide():
        """What the loss has more than that of the tokens, in evaluation."""
        both, tokens = (
            one.evaluate(inputs, labels, batch_size=64, verbose=0)
            for one in (model, plain)
        )
        return both - tokens

    before = guide()
    model.fit(inputs, labels, epochs=60, verbose=0)
    assert guide() < 0.3 * before


@pytest.mark.parametrize("jit_compile", [False, thorough(True)])
def test_the_loss_is_the_same_with_all_logits(jit_compile):
    results = []
    for metrics in ([], ["sparse_categorical_accuracy"]):
        keras.utils.set_random_seed(0)
        rng = np.random.default_rng(0)
        inputs = {
            "source": rng.integers(1, V, (8, S)),
            "target": rng.integers(1, V, (8, T)),
            "alignments": rng.random((8, T, S)).astype("float32"),
        }
        model = Seq2Seq(
            Encoder(V, 4, 4, cell="simple_rnn", bidirectional=False),
            Decoder(V, 4, 4, cell="simple_rnn"),
            guided_attention=0.5,
        )
        model.build()
        model.compile(
            keras.optimizers.SGD(0.1),
            MaskedCrossentropy(),
            metrics=metrics,
            jit_compile=jit_compile,
        )
        history = model.fit(
            inputs, inputs["target"], epochs=3, verbose=0, shuffle=False
        ).history
        results.append(history["loss"])
    np.testing.assert_allclose(*results, rtol=1e-4)


def test_bad_arguments():
    with pytest.raises(ValueError, match="guided_attention=-1"):
        Seq2Seq(Encoder(V, 4, 4), Decoder(V, 4, 4), guided_attention=-1)
    model = Seq2Seq(Encoder(V, 4, 4), Decoder(V, 4, 4), guided_attention=1.0)
    model.build()
    with pytest.raises(ValueError, match='"alignments".*source, target'):
        model({"source": np.ones((1, 2), int), "target": np.ones((1, 2), int)})
