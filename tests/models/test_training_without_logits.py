"""What `fit` and `evaluate` make of labels and weights, against NumPy."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_recurrent.models import (
    Decoder,
    Encoder,
    MaskedAccuracy,
    MaskedCrossentropy,
    Seq2Seq,
)

B, T, V, START, END = 4, 6, 12, 2, 3
# With the one metric Keras gets all logits, with the other it does not.
METRICS = {
    "projected": lambda: [MaskedAccuracy()],
    "logits": lambda: [keras.metrics.SparseCategoricalAccuracy("accuracy")],
}


def task(seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, V, (B, T))
    labels[:, -1] = END
    labels[1, 2:] = [END, 0, 0, 0]
    start = np.full((B, 1), START)
    target = np.concatenate([start, labels[:, :-1]], axis=1)
    return {"source": rng.integers(4, V, (B, 5)), "target": target}, labels


@pytest.fixture(scope="module")
def model():
    model = Seq2Seq(
        Encoder(V, 5, 6, cell="simple_rnn", bidirectional=False),
        Decoder(V, 5, 6, cell="simple_rnn"),
    )
    model.build()
    model.decoder.adapt(task()[1])  # as the first `fit` would
    return model


def token_losses(model, inputs, labels):
    logits = model(inputs).numpy()
    total = np.log(np.exp(logits).sum(-1))
    return total - np.take_along_axis(logits, labels[..., None], -1)[..., 0]


@pytest.mark.parametrize(
    ("path", "weighted"), [("projected", True), ("logits", False)]
)
def test_class_weights_weigh_tokens(path, weighted, model):
    inputs, labels = task()
    sample_weight = np.array([1.0, 2.0, 0.5, 1.0]) if weighted else None
    model.compile(
        keras.optimizers.SGD(0.0), MaskedCrossentropy(), metrics=METRICS[path]()
    )
    losses = token_losses(model, inputs, labels)
    real = labels != 0
    for end_weight in (10.0, 3.0):
        weights = np.where(labels == END, end_weight, 1.0)
        if weighted:
            weights = weights * sample_weight[:, None]
        expected = (losses * weights)[real].sum() / real.sum()
        arguments = {
            "sample_weight": sample_weight,
            "class_weight": {END: end_weight},
        }
        history = model.fit(inputs, labels, verbose=0, **arguments).history
        np.testing.assert_allclose(history["loss"], [expected], rtol=1e-5)
    model.reset_metrics()
    on_batch = model.train_on_batch(inputs, labels, **arguments)
    np.testing.assert_allclose(on_batch[0], expected, rtol=1e-5)
    # They are for training only, and for that of this call only.
    plain = model.evaluate(inputs, labels, verbose=0)[0]
    np.testing.assert_allclose(plain, losses[real].mean(), rtol=1e-5)
    history = model.fit(inputs, labels, verbose=0).history
    np.testing.assert_allclose(history["loss"], [plain], rtol=1e-5)


def test_a_class_that_there_is_not(model):
    with pytest.raises(ValueError, match="from 0 to 11. Received.* of 12"):
        model.fit(*task(), class_weight={12: 2.0})


def test_compiled_again_without_metrics(model):
    inputs, labels = task()
    expected = token_losses(model, inputs, labels)[labels != 0].mean()
    for metrics in ([MaskedAccuracy()], None, []):
        model.compile("sgd", MaskedCrossentropy(), metrics=metrics)
        found = model.evaluate(inputs, labels, verbose=0)
        loss = found[0] if isinstance(found, list) else found
        np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_weights_of_all_ranks_in_turn(model):
    inputs, labels = task()
    model.compile(
        "sgd", MaskedCrossentropy(), weighted_metrics=[MaskedAccuracy()]
    )
    losses, real = token_losses(model, inputs, labels), labels != 0
    right = model(inputs).numpy().argmax(-1) == labels
    for shape in ((B,), (B, 1), (B, T), (B,)):
        weights = np.random.default_rng(1).random(shape)
        whole = weights[:, None] if len(shape) == 1 else weights
        whole = whole * real
        loss, accuracy = model.evaluate(
            inputs, labels, sample_weight=weights, verbose=0
        )
        expected = (losses * whole).sum() / real.sum()
        np.testing.assert_allclose(loss, expected, rtol=1e-5)
        expected = (right * whole).sum() / whole.sum()
        np.testing.assert_allclose(accuracy, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("method", "part", "wrong"),
    [
        ("fit", "Labels", V),
        ("fit", "Sources", V),
        ("evaluate", "Labels", -1),
        ("train_on_batch", "Sources", V),
    ],
)
def test_ids_outside_of_the_vocabulary(method, part, wrong, model):
    inputs, labels = task()
    (labels if part == "Labels" else inputs["source"])[0, 0] = wrong
    model.compile("sgd", MaskedCrossentropy())
    with pytest.raises(ValueError, match=f"{part} must be .*{wrong}") as found:
        getattr(model, method)(inputs, labels)
    assert "\n" not in str(found.value)


def test_labels_of_other_kinds(model):
    inputs, labels = task()
    model.compile("sgd", MaskedCrossentropy())
    for wrong in (labels[..., None], labels.astype("float32")):
        with pytest.raises(ValueError, match="abels must be integers"):
            model.evaluate(inputs, wrong, verbose=0)


def test_ids_outside_are_no_silent_loss_under_xla(model):
    inputs, labels = task()
    labels[0, 0] = V
    model.compile("sgd", MaskedCrossentropy(), jit_compile=True)
    found = model.evaluate(inputs, labels, verbose=0, return_dict=True)
    assert np.isnan(found["loss"])


_REPLICAS = """
import sys
import keras, numpy as np, tensorflow as tf
from keras_recurrent.models import *

cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(
    cpus[0], 2 * [tf.config.LogicalDeviceConfiguration()]
)
rng = np.random.default_rng(0)
# Batches of 4, 4 and 1: in the last one a replica has no row at all.
lengths = np.array([1, 5, 2, 6, 3, 1, 6, 2, 4])[:, None]
labels = rng.integers(4, 9, (9, 6)) * (np.arange(6) < lengths)
target = np.concatenate([np.full((9, 1), 2), labels[:, :-1]], axis=1)
x = {"source": rng.integers(4, 9, (9, 5)), "target": target}
guide = rng.random((9, 6, 5)) * (labels > 0)[..., None]
weights = rng.random(9)


def train(strategy, options, metric):
    keras.utils.set_random_seed(0)
    guided = options.pop("guided", 0.0)
    with strategy.scope():
        model = Seq2Seq(
            Encoder(9, 4, 4, cell="simple_rnn", bidirectional=False),
            Decoder(9, 4, 4, cell="simple_rnn"),
            guided_attention=guided,
        )
        model.compile(
            keras.optimizers.SGD(0.5),
            MaskedCrossentropy(**options),
            metrics=[metric()],
        )
    inputs = {**x, "alignments": guide} if guided else x
    data = tf.data.Dataset.from_tensor_slices((inputs, labels, weights))
    data = data.batch(4)
    fitted = model.fit(data, epochs=2, shuffle=False, verbose=0)
    found = [fitted.history["loss"], fitted.history["accuracy"]]
    return found, model.get_weights()


def logits():
    return keras.metrics.SparseCategoricalAccuracy("accuracy")


# One for all, as each numbers its collective operations anew.
both = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for options, metric in (
    ({"guided": 0.5}, MaskedAccuracy),
    ({"average_over": "batch"}, logits),
):
    one = train(tf.distribute.get_strategy(), dict(options), metric)
    two = train(both, dict(options), metric)
    for a, b in zip(tf.nest.flatten(one), tf.nest.flatten(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    print("equal", options)
"""


def test_two_replicas_are_one():
    found = subprocess.run(
        [sys.executable, "-c", _REPLICAS], capture_output=True, text=True
    )
    assert found.stdout.count("equal") == 2, found.stderr[-3000:]
