"""That models learn from vocabularies as large as those of languages."""

import keras
import numpy as np
import pytest

from keras_recurrent.models import (
    Decoder,
    Encoder,
    MaskedCrossentropy,
    Seq2Seq,
)

V, END, START = 3000, 3, 2


def zipf_task(count=2048, length=8):
    """Sources of tokens whose frequencies follow Zipf's law, to be copied."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, V - 3)
    source = 4 + rng.choice(V - 4, (count, length), p=share / share.sum())
    column = np.ones((count, 1), int)
    target = np.concatenate([START * column, source], axis=1)
    labels = np.concatenate([source, END * column], axis=1)
    return {"source": source, "target": target}, labels


def small_model():
    """The quickest one to trace."""
    return Seq2Seq(
        Encoder(V, 4, 4, cell="simple_rnn", bidirectional=False),
        Decoder(V, 4, 4, cell="simple_rnn"),
    )


def entropy_of(labels):
    """What always predicting the frequencies of tokens costs."""
    share = np.bincount(labels.ravel()) / labels.size
    return -np.sum(share[share > 0] * np.log(share[share > 0]))


def test_a_model_learns_more_than_frequencies(seed):
    inputs, labels = zipf_task()
    model = Seq2Seq(Encoder(V, 32, 32), Decoder(V, 32, 32))
    model.compile(
        keras.optimizers.Adam(3e-3, global_clipnorm=1.0), MaskedCrossentropy()
    )
    history = model.fit(inputs, labels, 64, epochs=3, verbose=0).history
    assert history["loss"][-1] < entropy_of(labels) - 0.5


@pytest.mark.parametrize("tied", [False, True])
def test_an_adapted_decoder_predicts_frequencies(tied, seed):
    decoder = Decoder(7, 6, 6, tie_embeddings=tied)
    decoder.build((None, None), (None, None, 3), (None, 3))
    labels = np.array([[4, 5, 4, 3], [4, 5, 3, 0]])
    decoder.adapt(labels)
    # Where y is zero, logits are the bias.
    logits = decoder.logits(np.zeros((1, 6), "float32"))[0]
    shares = np.exp(logits - np.max(logits))
    shares /= shares.sum()
    np.testing.assert_allclose(
        shares[3:6] / shares[3], [1, 3 / 2, 1], rtol=1e-5
    )
    # No token occurs once: the unseen share what one would have.
    np.testing.assert_allclose(shares[0] / shares[3], 1 / 4 / 2, rtol=1e-5)


def test_labels_that_are_all_padding_are_refused():
    decoder = Decoder(7, 6, 6)
    decoder.build((None, None), (None, None, 3), (None, 3))
    with pytest.raises(ValueError, match="no labels but padding"):
        decoder.adapt(np.zeros((2, 3), int))


def test_training_goes_on_from_the_bias_that_there_is(seed):
    inputs, labels = zipf_task(count=4)
    model = small_model()
    model.compile(keras.optimizers.SGD(0.0), MaskedCrossentropy())
    model.build()
    own = np.linspace(-1, 1, V)
    model.decoder.output_layer.bias.assign(own)
    model.fit(inputs, labels, verbose=0)
    np.testing.assert_allclose(model.decoder.output_layer.bias, own, rtol=1e-5)


def test_what_the_decoder_starts_from_may_come_in_batches(seed):
    inputs, labels = zipf_task(count=4)
    model = small_model()
    model.compile(keras.optimizers.SGD(0.0), MaskedCrossentropy())
    batches = ((inputs, labels) for _ in range(3))
    history = model.fit(batches, steps_per_epoch=3, shuffle=False, verbose=0)
    # The labels of all sentences are counted, three times: none is lost.
    counts = 3 * np.bincount(labels.ravel(), minlength=V)
    seen = counts > 0
    bias = np.array(model.decoder.output_layer.bias)
    np.testing.assert_allclose(
        np.exp(bias[seen] - bias[END]), counts[seen] / counts[END], rtol=1e-4
    )
    assert np.isfinite(history.history["loss"]).all()
