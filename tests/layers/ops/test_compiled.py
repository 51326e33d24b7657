"""Functions compiled once, and only where they compute the same."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import GRU, LSTM, RNN
from keras_recurrent.layers.cells import MinGRUCell
from keras_recurrent.layers.ops import compiled
from tests.oracles import thorough


@pytest.fixture
def count(monkeypatch):
    """How many functions have been compiled."""
    kept = {}
    monkeypatch.setattr(compiled, "_COMPILED", kept)
    return lambda: len(kept)


def gradients(layer, x):
    @tf.function(autograph=False)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = layer(x, training=True)
        return output, *tape.gradient(output, [x, *layer.trainable_variables])

    return [each.numpy() for each in run(x)]


X = tf.constant(np.random.default_rng(0).normal(size=(4, 5, 3)), tf.float32)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LSTM(4),
        lambda: GRU(4, recurrent_dropout=0.2),
        lambda: RNN(MinGRUCell(4)),
    ],
    ids=["lstm", "gru, dropout", "scan"],
)
def test_layers_of_one_kind_share(count, make):
    first, second = make(), make()
    gradients(first, X)
    compiled_once = count()
    assert compiled_once > 0
    gradients(second, X)
    assert count() == compiled_once


def test_a_shared_function_computes_with_the_weights_of_its_layer():
    ours = [LSTM(4), LSTM(4)]
    keras_layers = [keras.layers.LSTM(4), keras.layers.LSTM(4)]
    for layer, other in zip(ours, keras_layers, strict=True):
        layer.build(X.shape)
        other.build(X.shape)
        other.set_weights(layer.get_weights())
        for ours_gives, keras_gives in zip(
            gradients(layer, X), gradients(other, X), strict=True
        ):
            np.testing.assert_allclose(ours_gives, keras_gives, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "softsign"},
        thorough({"units": 5}),
        {"return_sequences": True},
        {"recurrent_dropout": 0.1},
    ],
    ids=str,
)
def test_others_do_not(count, options):
    gradients(LSTM(4), X)
    before = count()
    gradients(LSTM(**{"units": 4, **options}), X)
    assert count() > before


def test_constants_of_a_function_count(count):
    for number in (1.0, 2.0, 1.0):
        double = compiled.compiled(lambda x, number=number: x * number)
        np.testing.assert_array_equal(double(tf.ones(2)), [number] * 2)
    assert count() == 2


def test_tensors_that_are_no_arguments_are_not_shared(count):
    def adder(number):
        return compiled.compiled(lambda x: x + number)

    for number in (1.0, 2.0):
        plus = adder(tf.Variable(number))
        np.testing.assert_array_equal(plus(tf.ones(2)), [1 + number] * 2)
    assert count() == 0
