"""Code that imports our layers in place of Keras's must not notice.

Tests `cell_rnn.py`, `gru.py`, `lstm.py` and `simple_rnn.py`.
"""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_recurrent.layers as ours
from tests.oracles import assert_close, thorough

B, T, D, U = 4, 5, 3, 2
NAMES = ("LSTM", "GRU", "SimpleRNN")
RIGHT = np.arange(T) < np.array([[T], [3], [1], [0]])
MASKS = {
    "none": None,
    "right": RIGHT,
    "left": RIGHT[:, ::-1],
    "inside": np.arange(T) % 2 == np.array([[0], [1], [0], [1]]),
}
X = np.random.default_rng(0).normal(size=(B, T, D)).astype("float32")


def pair(class_name, **options):
    keras.utils.set_random_seed(1)
    options = {"bias_initializer": "random_normal"} | options
    mine, theirs = (
        getattr(package, class_name)(U, **options)
        for package in (ours, keras.layers)
    )
    theirs.build(X.shape), mine.build(X.shape)
    mine.set_weights(theirs.get_weights())
    return mine, theirs


def states_of(name):
    number = 2 if name == "LSTM" else 1
    return list(np.random.default_rng(2).normal(size=(number, B, U)))


SWITCHES = ("return_sequences", "return_state", "go_backwards", "unroll")


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("name", NAMES)
def test_every_combination_of_switches(name, mask):
    mask = MASKS[mask]
    for values in itertools.product((False, True), repeat=len(SWITCHES)):
        mine, theirs = pair(name, **dict(zip(SWITCHES, values, strict=True)))
        assert_close(mine(X, mask=mask), theirs(X, mask=mask))
        arguments = {"mask": mask, "initial_state": states_of(name)}
        assert_close(mine(X, **arguments), theirs(X, **arguments))


OPTIONS = {
    "activation": {"activation": "softsign"},
    "no_bias": {"use_bias": False},
    "initializers": {
        "kernel_initializer": keras.initializers.GlorotNormal(3),
        "recurrent_initializer": keras.initializers.RandomUniform(seed=3),
        "bias_initializer": "ones",
    },
    "regularizers": {
        "kernel_regularizer": "l2",
        "recurrent_regularizer": "l1",
        "bias_regularizer": "l2",
    },
    "activity": {"activity_regularizer": "l2"},
    "constraints": {
        "kernel_constraint": "max_norm",
        "recurrent_constraint": "unit_norm",
        "bias_constraint": "non_neg",
    },
    "rates": {"dropout": 0.2, "recurrent_dropout": 0.1, "seed": 4},
    "frozen": {"trainable": False, "name": "some_name"},
    "half": {"dtype": "mixed_bfloat16"},
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", NAMES)
def test_options_weights_and_configuration(name, option):
    mine, theirs = pair(name, **OPTIONS[option])
    tolerance = 0.02 if option == "half" else 1e-5
    assert_close(mine(X), theirs(X), tolerance)
    assert mine(X).dtype == theirs(X).dtype
    if (name, option) != ("SimpleRNN", "activity"):  # There Keras forgets it.
        assert_close(mine.losses, theirs.losses)
    for mine_too, theirs_too in zip(mine.weights, theirs.weights, strict=True):
        assert mine_too.shape == theirs_too.shape
        assert mine_too.name == theirs_too.name
        assert mine_too.trainable == theirs_too.trainable
    assert len(mine.variables) <= len(theirs.variables)
    # A configuration of theirs makes one of ours.
    config = theirs.get_config()
    made = type(mine).from_config(dict(config))
    for key in config.keys() - {"name"}:
        assert made.get_config()[key] == config[key], key
        if hasattr(theirs, key):
            assert type(getattr(made, key)) is type(getattr(theirs, key)), key


@pytest.mark.parametrize("name", NAMES)
def test_stateful(name):
    for go_backwards in (False, True):
        mine, theirs = pair(name, stateful=True, go_backwards=go_backwards)
        for _ in range(2):
            assert_close(mine(X), theirs(X))
        mine.reset_state(), theirs.reset_states()
        assert_close(mine(X, mask=RIGHT), theirs(X, mask=RIGHT))
        mine.reset_states(), theirs.reset_state()
        assert_close(mine(X), theirs(X))
        assert_close(mine.states, theirs.states)
        with pytest.raises(ValueError, match="batch size"):
            mine(X[:2])
    with pytest.raises(ValueError, match="batch size"):
        getattr(ours, name)(U, stateful=True)(keras.Input((T, D)))


@pytest.mark.parametrize("name", NAMES)
def test_what_keras_refuses(name):
    layer = getattr(ours, name)
    with pytest.raises(ValueError, match="ndim=3"):
        layer(U)(X[:, 0])
    unrolled = tf.function(
        layer(U, unroll=True),
        input_signature=[tf.TensorSpec((None, None, D))],
        autograph=False,
    )
    with pytest.raises(ValueError, match="unroll"):
        unrolled(X)
    if name == "SimpleRNN":
        return
    assert layer(U, implementation=1).units == U
    with pytest.raises(ValueError, match="use_cudnn='maybe'"):
        layer(U, use_cudnn="maybe")
    with pytest.raises(ValueError, match="cuDNN"):
        layer(U, use_cudnn=True)(X)
    assert layer(U, use_cudnn=False)(X).shape == (B, U)


def model_of(package):
    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(9, D, mask_zero=True)(ids)
    x = keras.layers.Bidirectional(
        package.LSTM(U, return_sequences=True, name="lstm"), name="both"
    )(x)
    x, state = package.GRU(
        U, return_sequences=True, return_state=True, name="gru"
    )(x)
    x = package.SimpleRNN(U, dropout=0.0, name="rnn")(x, initial_state=state)
    model = keras.Model(ids, keras.layers.Dense(2, name="last")(x))
    model.compile("sgd", "mse", jit_compile=False)
    return model


def test_a_model_learns_the_same_and_reads_the_files_of_keras(tmp_path):
    ids = np.array([[1, 2, 3, 4], [5, 6, 0, 0], [7, 0, 0, 0]])
    targets = np.random.default_rng(0).normal(size=(3, 2))
    mine, theirs = model_of(ours), model_of(keras.layers)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    mine.load_weights(tmp_path / "theirs.weights.h5")
    assert_close(mine(ids), theirs(ids))
    histories = [
        model.fit(ids, targets, epochs=3, verbose=0).history["loss"]
        for model in (mine, theirs)
    ]
    assert_close(*histories)
    assert_close(mine.predict(ids, verbose=0), theirs.predict(ids, verbose=0))
    mine.save(tmp_path / "mine.keras")
    assert_close(
        keras.saving.load_model(tmp_path / "mine.keras")(ids), mine(ids)
    )
    mine.save_weights(tmp_path / "mine.weights.h5")
    theirs.load_weights(tmp_path / "mine.weights.h5")
    assert_close(theirs(ids), mine(ids))


def test_inputs_of_integers():
    for name in NAMES:
        mine, theirs = pair(name)
        x = (3 * X).astype("int32")
        assert_close(mine(x), theirs(x))
        cell = mine.cell
        assert_close(keras.layers.RNN(cell)(x), theirs(x))


@pytest.mark.parametrize("name", NAMES)
def test_shapes_that_are_known_in_advance(name):
    for options in ({}, {"return_sequences": True, "return_state": True}):
        mine, theirs = pair(name, **options)
        for shape in ((None, None, D), (B, T, D)):
            assert tf.nest.flatten(
                mine.compute_output_shape(shape)
            ) == tf.nest.flatten(theirs.compute_output_shape(shape))
            inputs = keras.Input(batch_shape=shape)
            for a, b in zip(
                tf.nest.flatten(mine(inputs)),
                tf.nest.flatten(theirs(inputs)),
                strict=True,
            ):
                assert (a.shape, a.dtype) == (b.shape, b.dtype)


@pytest.mark.parametrize(
    ("mask", "zeros"),
    [("inside", True), thorough("none", False), thorough("inside", False)],
)
def test_jacobian_in_a_graph(mask, zeros):
    """As TensorFlow vectorizes it."""
    jacobians = []
    for layer in pair("LSTM", zero_output_for_mask=zeros):

        @tf.function(input_signature=[tf.TensorSpec((None, None, D))])
        def jacobian(x, layer=layer):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x, mask=MASKS[mask])
            return tape.jacobian(y, x)

        jacobians.append(jacobian(X))
    assert_close(*jacobians)
