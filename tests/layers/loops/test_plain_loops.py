"""The gradient of a gradient, against that of Keras's layers."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import GRU, LSTM, RNN, MinGRUCell, plain_loops

X = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")


def penalty_gradients(layer, context):
    """Of a gradient penalty, as in training."""

    @tf.function
    def run(x):
        with context(), tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(layer(x, training=True) ** 2)
            penalty = tf.reduce_sum(inner.gradient(y, x) ** 2)
        return outer.gradient(penalty, [x, *layer.trainable_variables])

    return run(tf.constant(X))


@pytest.mark.parametrize(
    ("ours", "theirs"), [(LSTM, keras.layers.LSTM), (GRU, keras.layers.GRU)]
)
def test_gradients_of_gradients_are_those_of_keras(ours, theirs, seed):
    layer, reference = ours(5), theirs(5)
    for one in (layer, reference):
        one.build(X.shape)
    reference.set_weights(layer.get_weights())
    found = penalty_gradients(layer, plain_loops)
    expected = penalty_gradients(reference, contextlib.nullcontext)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_scan_has_gradients_of_gradients(seed):
    layer = RNN(MinGRUCell(5))
    layer.build(X.shape)
    dx, *_ = penalty_gradients(layer, plain_loops)
    # By differences of the penalty, in one direction.
    direction = np.random.default_rng(1).normal(size=X.shape).astype("float32")

    def penalty(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(layer(x) ** 2)
        return float(tf.reduce_sum(tape.gradient(y, x) ** 2))

    step = 1e-2
    ahead, behind = (
        penalty(tf.constant(X + sign * step * direction)) for sign in (1, -1)
    )
    expected = (ahead - behind) / (2 * step)
    found = float(tf.reduce_sum(dx * direction))
    np.testing.assert_allclose(found, expected, rtol=2e-2)


def test_the_error_names_the_way():
    layer = LSTM(2)
    layer.build(X.shape)
    with pytest.raises(NotImplementedError, match="plain_loops"):
        penalty_gradients(layer, contextlib.nullcontext)


class Penalized(keras.Sequential):
    """Trained on the square of the gradient of its inputs alone."""

    def train_step(self, data):
        x, _ = data
        with plain_loops(), tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(self(x, training=True) ** 2)
            penalty = tf.reduce_sum(inner.gradient(y, x) ** 2)
        gradients = outer.gradient(penalty, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"penalty": penalty}


def test_a_gradient_penalty_is_trained_by_fit(seed):
    """As Keras's layer is by the same step."""
    ours, theirs = (
        Penalized([keras.Input(X.shape[1:]), layer(5)])
        for layer in (LSTM, keras.layers.LSTM)
    )
    theirs.set_weights(ours.get_weights())
    histories = []
    for model in (ours, theirs):
        model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
        fitted = model.fit(X, np.zeros(2), epochs=3, verbose=0)
        histories.append(fitted.history["penalty"])
    np.testing.assert_allclose(*histories, rtol=1e-4)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
