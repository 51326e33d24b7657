"""Two devices, and two processes, against one process with the whole batch.

Dropout cannot be equal: each replica draws for the rows that it has. It is
compared with a second time. Tests `replicas.py`, too.
"""

import numpy as np
import pytest

from tests.oracles import thorough
from tests.workers import cluster, start

# Batches of 3, 3 and 1: one replica has a row more than the other, which in
# the last one has none at all.
SCRIPT = """
import os, sys
import keras, numpy as np, tensorflow as tf
from keras_recurrent.models import *
from keras_recurrent.models.multi_worker import MultiWorkerTraining

kind, names, file = sys.argv[1:]
tf.config.set_visible_devices([], "GPU")
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    (2 if kind == "devices" else 1) * [tf.config.LogicalDeviceConfiguration()],
)
strategy = {
    "one": tf.distribute.get_strategy,
    "devices": lambda: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]),
    "workers": tf.distribute.MultiWorkerMirroredStrategy,
}[kind]()
assert strategy.num_replicas_in_sync == (1 if kind == "one" else 2)


class Sequential(MultiWorkerTraining, keras.Sequential):
    pass


class Functional(MultiWorkerTraining, keras.Model):
    pass


class Subclassed(MultiWorkerTraining, keras.Model):
    def __init__(self, rate=0.0):
        super().__init__()
        self.inner = keras.layers.Dense(4, "tanh", kernel_regularizer="l2")
        self.dropout = keras.layers.Dropout(rate)
        self.outer = keras.layers.Dense(1)

    def call(self, inputs, training=False):
        return self.outer(self.dropout(self.inner(inputs), training=training))


def sequential():
    return Sequential([keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])


def functional():
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, "tanh")(inputs)
    return Functional(inputs, keras.layers.Dense(1)(hidden))


def tagger():
    layers = [keras.layers.Embedding(9, 4), keras.layers.Dense(9)]
    return Sequential(layers), MaskedCrossentropy(), [MaskedAccuracy()]


def seq2seq():
    model = Seq2Seq(
        Encoder(9, 4, 4, cell="simple_rnn", bidirectional=False),
        Decoder(9, 4, 4, cell="simple_rnn"),
    )
    return model, MaskedCrossentropy(), [MaskedAccuracy()]


MODELS = {
    "sequential": sequential,
    "functional": functional,
    "subclassed": Subclassed,
    "dropout": lambda: Subclassed(0.5),
    "tagger": tagger,
    "sentences": seq2seq,
    "tokens": seq2seq,
}
rng = np.random.default_rng(0)
x, y = rng.normal(size=(7, 3)), rng.normal(size=(7, 1))
weights = rng.random(7)
lengths = np.array([1, 5, 2, 6, 3, 1, 4])[:, None]
labels = rng.integers(4, 9, (7, 6)) * (np.arange(6) < lengths)
target = np.concatenate([np.full((7, 1), 2), labels[:, :-1]], axis=1)
sources = {"source": rng.integers(4, 9, (7, 5)), "target": target}
slices = tf.data.Dataset.from_tensor_slices


def by_tokens():
    # As they come from recipes: of any number of rows, which nobody knows
    # before, and wider and narrower.
    cuts = [(0, 4, 6), (4, 5, 3), (5, 7, 4)]
    for start, end, width in cuts:
        ids = {"source": sources["source"], "target": target[:, :width]}
        rows = {name: one[start:end] for name, one in ids.items()}
        yield rows, labels[start:end, :width]


def data_of(name):
    if name == "tagger":
        return slices((target, labels)).batch(3)
    if name == "sentences":
        return slices((sources, labels, weights)).batch(3)
    if name == "tokens":
        ids = tf.TensorSpec((None, None), "int64")
        spec = ({"source": ids, "target": ids}, ids)
        batches = list(by_tokens())
        elements = [tf.data.Dataset.from_tensors(one) for one in batches]
        data = elements[0]
        for one in elements[1:]:
            data = data.concatenate(one)
        return data
    return slices((x, y)).batch(3)


found = {}
for name in names.split():
    keras.utils.set_random_seed(0)
    with strategy.scope():
        built = MODELS[name]()
        model, *rest = built if isinstance(built, tuple) else (built,)
        loss, metrics = rest or ("mse", ["mae"])
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=1.0)
        model.compile(optimizer, loss, metrics=metrics)
    data = data_of(name)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    data = data.with_options(options)
    history = model.fit(data, epochs=3, validation_data=data, verbose=0).history
    for key, values in history.items():
        found[f"{name} {key}"] = values
    if rest == []:
        found[f"{name} predicted"] = model.predict(data, verbose=0)
    for number, weight in enumerate(model.get_weights()):
        found[f"{name} weight {number}"] = weight
try:
    with strategy.scope():
        model.compile("sgd", loss, steps_per_execution=2)
    model.make_train_function(force=True)
except ValueError as error:
    assert "`steps_per_execution` must be 1 on several" in str(error)
    assert kind != "one"
else:
    assert kind == "one"
np.savez(file, **found)
# At an end of its own it would wait 30 seconds for a thread of TensorFlow.
os._exit(0)
"""


def trained(kinds, models, folder):
    """What came of each process: {name: numbers}, in their order."""
    two = iter(cluster(2))
    files = [folder / f"{number}.npz" for number in range(len(kinds))]
    outputs = [file.with_suffix(".txt") for file in files]
    processes = [
        start(
            ["-c", SCRIPT, kind, models, str(file)],
            next(two) if kind == "workers" else {},
            output,
        )
        for kind, file, output in zip(kinds, files, outputs, strict=True)
    ]
    for process, output in zip(processes, outputs, strict=True):
        assert process.wait(300) == 0, output.read_text()[-3000:]
    return [dict(np.load(file)) for file in files]


def assert_equal(found, expected, atol=1e-6):
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(
            found[name], expected[name], rtol=1e-6, atol=atol, err_msg=name
        )


@pytest.mark.parametrize(
    "models",
    [
        "functional tagger",
        thorough("sequential subclassed"),
        thorough("sentences tokens"),
    ],
)
def test_replicas_are_one(models, tmp_path):
    one, devices, first, second = trained(
        ("one", "devices", "workers", "workers"), models, tmp_path
    )
    assert_equal(devices, one)
    assert_equal(first, one)
    assert_equal(second, first, atol=0)


@pytest.mark.thorough
def test_dropout_is_the_same_again(tmp_path):
    models = "dropout subclassed"
    first, second = trained(2 * ("workers",), models, tmp_path)
    again, _ = trained(2 * ("workers",), models, tmp_path)
    assert_equal(second, first, atol=0)
    assert_equal(again, first, atol=0)
    name = "weight 0"
    assert np.abs(first[f"dropout {name}"] - first[f"subclassed {name}"]).max()
