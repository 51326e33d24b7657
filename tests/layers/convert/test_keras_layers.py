"""Keras's layers as ours and back, against their own outputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent import layers
from keras_recurrent.layers.convert import from_keras, to_keras

B, T, D, U = 3, 5, 4, 2
NAMES = ["LSTM", "GRU", "SimpleRNN"]
OPTIONS = {
    "plain": {},
    "all": {"return_sequences": True, "return_state": True},
    "backwards": {"go_backwards": True, "zero_output_for_mask": True},
    "unrolled": {"unroll": True, "use_bias": False},
    "penalized": {"activity_regularizer": "l2", "kernel_regularizer": "l1"},
    "dropped": {"dropout": 0.1, "recurrent_dropout": 0.2, "seed": 3},
    "relu": {"activation": "relu", "kernel_initializer": "ones"},
    "half": {"dtype": "mixed_bfloat16"},
}


def arrays(*shapes):
    draws = np.random.default_rng(0)
    return [draws.normal(size=shape).astype("float32") for shape in shapes]


def shake(layer):
    """Set weights that no initializer would: biases are zero at first."""
    draws = np.random.default_rng(1)
    layer.set_weights(
        [draws.normal(size=w.shape, scale=0.5) for w in layer.get_weights()]
    )


def assert_equal_outputs(ours, theirs, *inputs, **arguments):
    for a, b in zip(
        tf.nest.flatten(ours(*inputs, **arguments)),
        tf.nest.flatten(theirs(*inputs, **arguments)),
        strict=True,
    ):
        assert a.dtype == b.dtype
        atol = 1e-5 if a.dtype == tf.float32 else 2e-2
        a, b = tf.cast(a, tf.float32), tf.cast(b, tf.float32)
        np.testing.assert_allclose(a, b, atol=atol)


def configuration(layer):
    return {
        name: value
        for name, value in layer.get_config().items()
        if not name.endswith("_initializer")
    }


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", NAMES)
def test_layers(name, options):
    theirs = getattr(keras.layers, name)(U, name="a_name", **options)
    theirs.build((B, T, D))
    shake(theirs)
    ours = from_keras(theirs)
    assert type(ours) is getattr(layers, name)
    assert ours.name == "a_name"
    back = to_keras(ours)
    assert type(back) is type(theirs)
    assert configuration(back) == configuration(theirs)
    (x,) = arrays((B, T, D))
    mask = np.array([[1] * 5, [1, 1, 1, 0, 0], [0, 1, 0, 1, 1]], bool)
    assert_equal_outputs(ours, theirs, x, mask=mask)
    assert_equal_outputs(back, theirs, x, mask=mask)


def test_a_stateful_layer():
    theirs = keras.layers.LSTM(U, stateful=True)
    theirs.build((B, T, D))
    ours = from_keras(theirs)
    for x in arrays((B, T, D), (B, T, D)):
        assert_equal_outputs(ours, theirs, x)


@pytest.mark.parametrize("name", NAMES)
def test_cells(name):
    theirs = getattr(keras.layers, f"{name}Cell")(U)
    theirs.build((B, D))
    shake(theirs)
    ours = from_keras(theirs)
    assert type(ours) is getattr(layers, f"{name}Cell")
    assert type(to_keras(ours)) is type(theirs)
    x, *states = arrays((B, D), (B, U), (B, U))
    states = states[: len(tf.nest.flatten(theirs.state_size))]
    assert_equal_outputs(ours, theirs, x, states)


def test_layers_without_weights_yet():
    assert not from_keras(keras.layers.GRU(U)).built
    assert not to_keras(layers.GRUCell(U)).built


def test_wrapped_and_stacked_layers():
    rnn, cells = keras.layers.RNN, keras.layers
    theirs = keras.Sequential(
        [
            keras.Input((T, D)),
            keras.layers.Bidirectional(
                keras.layers.LSTM(U, return_sequences=True),
                backward_layer=keras.layers.GRU(
                    U, return_sequences=True, go_backwards=True
                ),
                merge_mode="sum",
            ),
            rnn([cells.GRUCell(3), cells.LSTMCell(U)], return_sequences=True),
            rnn(cells.SimpleRNNCell(U), return_sequences=True),
            keras.layers.Reshape((T, U, 1)),
            keras.layers.TimeDistributed(keras.layers.GRU(3)),
        ]
    )
    shake(theirs)
    ours = from_keras(theirs)
    both_ways, stack, plain, _, distributed = ours.layers
    assert type(both_ways.forward_layer) is layers.LSTM
    assert type(both_ways.backward_layer) is layers.GRU
    assert type(stack) is type(plain) is layers.RNN
    assert [type(cell) for cell in stack.cell.cells] == [
        layers.GRUCell,
        layers.LSTMCell,
    ]
    assert type(distributed.layer) is layers.GRU
    assert_equal_outputs(ours, theirs, *arrays((B, T, D)))
    assert_equal_outputs(to_keras(ours), theirs, *arrays((B, T, D)))


def classifier():
    """A model that takes strings, has states as inputs and is trained."""
    words = keras.layers.TextVectorization()
    words.adapt(["a b c", "d e f"])
    text = keras.Input((1,), dtype="string")
    x = keras.layers.Embedding(8, D, mask_zero=True)(words(text))
    x, *states = keras.layers.LSTM(
        U, return_sequences=True, return_state=True, dropout=0.1
    )(x)
    x = keras.layers.LSTM(U)(x, initial_state=states)
    x = keras.layers.Lambda(lambda x: 2 * x)(x)
    inner = keras.Sequential([keras.Input((1, U)), keras.layers.GRU(1)])
    model = keras.Model(text, inner(keras.layers.Reshape((1, U))(x)))
    model.compile("adam", "mse", metrics=["mae"])
    return model


def test_a_trained_model(seed):
    theirs = classifier()
    text, labels = tf.constant([["a b c d"], ["f"], ["a x"]]), np.ones((3, 1))
    theirs.fit(text, labels, epochs=2, verbose=0)
    ours = from_keras(theirs)
    assert not any(
        isinstance(layer, keras.layers.RNN) for layer in ours._flatten_layers()
    )
    assert_equal_outputs(ours, theirs, text)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    # It goes on where the other one stopped.
    assert ours.optimizer.iterations == 2
    for model in (ours, to_keras(ours)):
        np.testing.assert_allclose(
            model.evaluate(text, labels, verbose=0),
            theirs.evaluate(text, labels, verbose=0),
            atol=1e-5,
        )
        for a, b in zip(
            model.optimizer.variables, theirs.optimizer.variables, strict=True
        ):
            np.testing.assert_array_equal(a, b)


def test_the_copy_has_weights_of_its_own():
    theirs = keras.Sequential([keras.Input((T, D)), keras.layers.GRU(U)])
    before = theirs.get_weights()
    shake(from_keras(theirs))
    for a, b in zip(theirs.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_cells_that_keras_has_not_stay():
    ours = layers.RNN(layers.JANETCell(U), return_sequences=True)
    ours.build((B, T, D))
    theirs = to_keras(ours)
    assert type(theirs) is keras.layers.RNN
    assert type(theirs.cell) is layers.JANETCell
    assert_equal_outputs(ours, theirs, *arrays((B, T, D)))


@keras.saving.register_keras_serializable(package="test_keras_layers")
class InItsCode(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.rnn = keras.layers.GRU(U, name="inner")

    def call(self, x):
        return self.rnn(x)


def test_layers_made_in_code():
    model = InItsCode()
    model(np.zeros((B, T, D), "float32"))
    with pytest.raises(ValueError, match="own code .*: .*inner"):
        from_keras(model)
