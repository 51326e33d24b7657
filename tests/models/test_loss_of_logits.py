"""Which losses are taken, for a model that returns logits."""

import keras
import numpy as np
import pytest

from keras_recurrent.models import (
    Decoder,
    Encoder,
    Seq2Seq,
)

V = 9


@pytest.fixture
def model(seed):
    return Seq2Seq(Encoder(V, 2, 2), Decoder(V, 2, 2))


def task():
    ids = np.array([[4, 5, 6], [7, 0, 0], [8, 8, 0]])
    return {"source": ids, "target": ids}, ids


@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        "crossentropy",
        keras.losses.sparse_categorical_crossentropy,
        keras.losses.SparseCategoricalCrossentropy(),
        [keras.losses.SparseCategoricalCrossentropy()],
    ],
)
def test_losses_of_probabilities_are_refused(loss, model):
    model.compile("sgd", loss, run_eagerly=True)
    with pytest.raises(ValueError, match="must be of logits.*Received: loss="):
        model.evaluate(*task(), verbose=0)


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        lambda labels, logits: keras.losses.sparse_categorical_crossentropy(
            labels, logits, from_logits=True
        ),
    ],
)
def test_losses_of_logits_are_taken(loss, model):
    inputs, labels = task()
    model.compile("sgd", loss, run_eagerly=True)
    found = model.evaluate(inputs, labels, verbose=0)
    logits = model(inputs).numpy()
    losses = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(
        logits, labels[..., None], -1
    ).squeeze(-1)
    # As Keras has it, over the padding, too.
    np.testing.assert_allclose(found, losses.mean(), rtol=1e-5)
