"""The way to cuDNN, as far as it goes without a GPU.

Keras falls back to its own loop where cuDNN fails, so what we do around it can
be tested: the choice, the weights, and what becomes of masks and outputs.
"""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import GRU, LSTM, without_cudnn
from keras_recurrent.layers.cudnn_rnn import CudnnRNN

B, T, D, U = 4, 5, 3, 2
X = np.random.default_rng(0).normal(size=(B, T, D)).astype("float32")
RIGHT = np.arange(T) < np.array([[T], [3], [1], [2]])
MASKS = {
    "none": None,
    "right": RIGHT,
    "left": RIGHT[:, ::-1],
    "empty": RIGHT & (np.arange(B) > 0)[:, None],
    "inside": np.arange(T) % 2 == np.array([[0], [1], [0], [1]]),
}
TO_CUDNN = ("none", "right")


@pytest.fixture
def loops_of_keras(monkeypatch):
    """Pretend that there is a GPU; return the loops that Keras has run."""
    list_devices = tf.config.list_logical_devices
    monkeypatch.setattr(
        tf.config,
        "list_logical_devices",
        lambda kind=None: ["GPU"] if kind == "GPU" else list_devices(kind),
    )
    loops = []
    run_in_keras = CudnnRNN._run_in_keras

    def counted(self, *arguments):
        loops.append(self)
        return run_in_keras(self, *arguments)

    monkeypatch.setattr(CudnnRNN, "_run_in_keras", counted)
    return loops


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("make", [LSTM, GRU])
def test_the_answers_are_the_same(make, mask, loops_of_keras, seed):
    switches = itertools.product((False, True), repeat=3)
    for backwards, sequences, zeros in switches:
        layer = make(
            U,
            bias_initializer="random_normal",
            return_state=True,
            go_backwards=backwards,
            return_sequences=sequences,
            zero_output_for_mask=zeros,
        )
        layer.build(X.shape)
        states = [tf.random.normal((B, U)) for _ in layer.state_size]
        arguments = {"mask": MASKS[mask], "initial_state": states}
        with without_cudnn():
            expected = layer(X, **arguments)
        assert not loops_of_keras
        outputs = layer(X, **arguments)
        # Backwards, too, sentences are padded on the right.
        assert bool(loops_of_keras) == (mask in TO_CUDNN)
        loops_of_keras.clear()
        for output, other in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(output, other, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (LSTM, {"activation": "relu"}),
        (LSTM, {"recurrent_activation": "hard_sigmoid"}),
        (LSTM, {"use_bias": False}),
        (LSTM, {"recurrent_dropout": 0.1}),
        (LSTM, {"unroll": True}),
        (LSTM, {"use_cudnn": False}),
        (GRU, {"reset_after": False}),
    ],
)
def test_what_cudnn_does_not_know(make, options, loops_of_keras):
    layer = make(U, **options)
    layer(X)
    assert not loops_of_keras
    assert layer.supports_jit
    if "use_cudnn" not in options:
        with pytest.raises(ValueError, match="cuDNN"):
            make(U, use_cudnn=True, **options)(X)


def test_neither_xla_nor_exports(loops_of_keras):
    layer = LSTM(U)
    assert not layer.supports_jit  # Keras shall not compile it by default.
    tf.function(layer, jit_compile=True, autograph=False)(X)
    assert not loops_of_keras

    def operations():
        graph = tf.function(layer, autograph=False).get_concrete_function(X)
        return {operation.type for operation in graph.graph.get_operations()}

    with without_cudnn():
        assert "CudnnRNNV3" not in operations()
    assert "CudnnRNNV3" in operations()


def test_gradients_and_dropout_go_through(loops_of_keras, seed):
    layer = LSTM(U, return_sequences=True)

    def gradients():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(layer(X, mask=RIGHT, training=True)))
        return tape.gradient(loss, layer.trainable_variables)

    trained = gradients()
    assert loops_of_keras
    with without_cudnn():
        expected = gradients()
    for gradient, other in zip(trained, expected, strict=True):
        np.testing.assert_allclose(gradient, other, atol=1e-5)

    layer = GRU(16, dropout=0.5)
    layer.build(X.shape)
    assert not np.allclose(layer(X, training=True), layer(X))


def test_without_a_gpu_there_is_no_cudnn():
    layer = LSTM(U)
    assert layer.supports_jit
    with pytest.raises(ValueError, match="needs a GPU"):
        LSTM(U, use_cudnn=True)(X)
    assert isinstance(layer, keras.Layer)
