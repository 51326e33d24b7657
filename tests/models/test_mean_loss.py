"""Tests `mean_loss.py`: that losses of batches are a mean over tokens."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import Decoder, Encoder, MaskedCrossentropy, Seq2Seq

V = 9
LABELS = np.array([[4, 5, 6, 7, 3], [8, 7, 5, 3, 0], [3, 0, 0, 0, 0]])
TARGET = np.array([[2, 4, 5, 6, 7], [2, 8, 7, 5, 0], [2, 0, 0, 0, 0]])
SOURCE = np.array([[4, 5, 6], [7, 8, 0], [5, 0, 0]])


def losses_of(model):
    """The cross-entropy of each token, by NumPy."""
    logits = model({"source": SOURCE, "target": TARGET}).numpy()
    logits -= logits.max(-1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return -np.take_along_axis(logs, LABELS[..., None], -1)[..., 0]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("logits", [False, True])
def test_batches_weigh_by_their_tokens(seed, weighted, logits):
    reduction = "mean_with_sample_weight" if weighted else "sum_over_batch_size"
    model = Seq2Seq(Encoder(V, 3, 4), Decoder(V, 3, 4))
    metrics = ["accuracy"] if logits else None
    loss = MaskedCrossentropy(reduction=reduction)
    model.compile("sgd", loss, metrics=metrics)
    model.build()
    # Frequencies that differ make the losses of tokens differ.
    model.decoder.adapt(np.repeat(np.arange(1, V), np.arange(1, V) ** 2))
    weights = np.array([1.0, 3.0, 0.5], "float32")
    data = tf.data.Dataset.from_tensor_slices(
        ({"source": SOURCE, "target": TARGET}, LABELS, weights)
    ).batch(2)
    found = model.evaluate(data, verbose=0, return_dict=True)["loss"]
    real = (LABELS != 0).astype(float)
    total = (losses_of(model) * weights[:, None] * real).sum()
    divisor = (weights[:, None] * real).sum() if weighted else real.sum()
    assert found == pytest.approx(total / divisor, rel=1e-5)


def test_others_weigh_as_keras_has_it(seed):
    model = Seq2Seq(Encoder(V, 3, 4), Decoder(V, 3, 4))
    model.compile("sgd", MaskedCrossentropy(average_over="time"))
    data = tf.data.Dataset.from_tensor_slices(
        ({"source": SOURCE, "target": TARGET}, LABELS)
    ).batch(2)
    model.build()
    model.decoder.adapt(np.repeat(np.arange(1, V), np.arange(1, V) ** 2))
    found = model.evaluate(data, verbose=0)
    real = (LABELS != 0).astype(float)
    means = (losses_of(model) * real).sum(1) / real.sum(1)
    assert found == pytest.approx(means.mean(), rel=1e-5)


def test_training_reports_the_same(seed):
    model = Seq2Seq(Encoder(V, 3, 4), Decoder(V, 3, 4))
    model.compile(keras.optimizers.SGD(0.0), MaskedCrossentropy())
    inputs = {"source": SOURCE, "target": TARGET}
    history = model.fit(inputs, LABELS, batch_size=2, verbose=0)
    real = LABELS != 0
    expected = losses_of(model)[real].mean()
    assert history.history["loss"][0] == pytest.approx(expected, rel=1e-5)
