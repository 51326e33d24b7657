"""What `fit` and `evaluate` make of labels and weights, against NumPy.

Tests `known_ids.py`, `replicas.py` and `token_weights.py`.
"""

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
from tests.oracles import thorough

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
    ("path", "weighted"), [("logits", False), thorough("projected", True)]
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


@pytest.mark.parametrize("method", ["fit", "evaluate"])
@pytest.mark.parametrize(
    ("change", "received"),
    [
        (lambda labels: labels[..., None], r"int64 of shape \(4, 6, 1\)"),
        (lambda labels: labels[:, :4], r"int64 of shape \(4, 4\)"),
        (lambda labels: labels[:, 0], r"int64 of shape \(4,\)"),
        (lambda labels: labels.astype("float32"), "float32"),
    ],
)
def test_labels_of_other_kinds(method, change, received, model):
    inputs, labels = task()
    model.compile("sgd", MaskedCrossentropy(), run_eagerly=True)
    with pytest.raises(ValueError, match=rf"\(4, 6\) of the .*{received}"):
        getattr(model, method)(inputs, change(labels), verbose=0)


def test_ids_of_a_type_too_small_for_the_size_of_the_vocabulary():
    model = Seq2Seq(Encoder(300, 2, 2), Decoder(300, 2, 2))
    model.compile("sgd", MaskedCrossentropy(), run_eagerly=True)
    inputs, labels = task()
    labels[0, 0] = 50  # more than what is left of 300 in eight bits
    losses = [
        model.evaluate(
            {name: ids.astype(dtype) for name, ids in inputs.items()},
            labels.astype(dtype),
            verbose=0,
        )
        for dtype in ("uint8", "int64")
    ]
    np.testing.assert_allclose(*losses)


class Doubled(MaskedCrossentropy):
    def call(self, y_true, y_pred):
        return 2 * super().call(y_true, y_pred)


class Shape(MaskedAccuracy):
    def update_state(self, y_true, y_pred, sample_weight=None):
        keras.metrics.Mean.update_state(self, y_pred.shape[-1])


@pytest.mark.parametrize(
    ("options", "factor"),
    [
        ({"loss": MaskedCrossentropy(dtype="float64")}, 1),
        ({"loss": Doubled()}, 2),
        ({"loss": [MaskedCrossentropy()]}, 1),
        ({"loss_weights": 3.0}, 3),
        ({"metrics": [["accuracy"], [MaskedAccuracy(name="other")]]}, 1),
        ({"steps_per_execution": 2}, 1),
        ({"run_eagerly": True}, 1),
    ],
)
def test_what_else_can_be_compiled(options, factor, model):
    inputs, labels = task()
    expected = token_losses(model, inputs, labels)[labels != 0].mean()
    model.compile("sgd", **({"loss": MaskedCrossentropy()} | options))
    found = model.evaluate(inputs, labels, verbose=0, return_dict=True)
    np.testing.assert_allclose(found["loss"], factor * expected, rtol=1e-5)


def test_a_metric_made_from_ours_gets_the_logits(model):
    model.compile("sgd", MaskedCrossentropy(), metrics=[Shape()])
    assert model.evaluate(*task(), verbose=0)[1] == V


def test_the_same_class_weights_need_no_new_graph(seed):
    class Counted(Seq2Seq):
        traces = 0

        def train_step(self, data):
            self.traces += 1
            return super().train_step(data)

    model = Counted(Encoder(V, 2, 2), Decoder(V, 2, 2, cell="simple_rnn"))
    model.compile(keras.optimizers.SGD(0.0), MaskedCrossentropy())
    inputs, labels = map(_tensors, task())
    for _ in range(2):
        model.train_on_batch(inputs, labels, class_weight={END: 2.0})
    assert model.traces == 1


def _tensors(given):
    return keras.tree.map_structure(keras.ops.convert_to_tensor, given)


def test_ids_outside_in_a_batch_to_be_tested(model):
    inputs, labels = task()
    labels[0, 0] = V
    model.compile("sgd", MaskedCrossentropy())
    with pytest.raises(ValueError, match=f"Labels must be .*{V}"):
        model.test_on_batch(inputs, labels)


def test_ids_outside_are_no_silent_loss_under_xla(model):
    inputs, labels = task()
    labels[0, 0] = V
    model.compile("sgd", MaskedCrossentropy(), jit_compile=True)
    found = model.evaluate(inputs, labels, verbose=0, return_dict=True)
    assert np.isnan(found["loss"])


REPLICAS = """
import sys
import keras, numpy as np, tensorflow as tf
from keras_recurrent.models import *

cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(
    cpus[0], 2 * [tf.config.LogicalDeviceConfiguration()]
)
rng = np.random.default_rng(0)
# Batches of 3, 3 and 1: one replica has a row more than the other, which in
# the last one has none at all.
lengths = np.array([1, 5, 2, 6, 3, 1, 4])[:, None]
labels = rng.integers(4, 9, (7, 6)) * (np.arange(6) < lengths)
target = np.concatenate([np.full((7, 1), 2), labels[:, :-1]], axis=1)
x = {"source": rng.integers(4, 9, (7, 5)), "target": target}
guide = rng.random((7, 6, 5)) * (labels > 0)[..., None]
weights = rng.random(7)


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
    data = data.batch(3)
    fitted = model.fit(data, epochs=2, shuffle=False, verbose=0)
    found = [fitted.history["loss"], fitted.history["accuracy"]]
    return found, model.get_weights()


def logits():
    return keras.metrics.SparseCategoricalAccuracy("accuracy")


# One for all, as each numbers its collective operations anew.
both = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for options, metric in (
    ({"guided": 0.5}, MaskedAccuracy),
    ({"average_over": "batch", "guided": 0.5}, logits),
):
    one = train(tf.distribute.get_strategy(), dict(options), metric)
    two = train(both, dict(options), metric)
    for a, b in zip(tf.nest.flatten(one), tf.nest.flatten(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    print("equal", options)

with both.scope():
    model = Seq2Seq(Encoder(9, 4, 4), Decoder(9, 4, 4))
    for name, optimizer, steps in (
        ("steps_per_execution", keras.optimizers.SGD(), 2),
        (
            "gradient_accumulation_steps",
            keras.optimizers.SGD(gradient_accumulation_steps=2),
            1,
        ),
    ):
        model.compile(
            optimizer, MaskedCrossentropy(), steps_per_execution=steps
        )
        try:
            model.fit(x, labels, verbose=0)
        except ValueError as error:
            assert f"`{name}` must be 1 on several replicas" in str(error)
            print("refused")
"""


@pytest.mark.thorough
def test_two_replicas_are_one():
    found = subprocess.run(
        [sys.executable, "-c", REPLICAS], capture_output=True, text=True
    )
    assert found.stdout.count("equal") == 2, found.stderr[-3000:]
    assert found.stdout.count("refused") == 2, found.stderr[-3000:]
