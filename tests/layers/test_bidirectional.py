"""Our layers in `keras.layers.Bidirectional`, against Keras's in it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import GRU, LSTM, SimpleRNN
from tests.oracles import assert_close, thorough, uneven_loss

B, T, D, U = 4, 5, 3, 2
PAIRS = {
    "lstm": (LSTM, keras.layers.LSTM),
    "gru": (GRU, keras.layers.GRU),
    "simple_rnn": (SimpleRNN, keras.layers.SimpleRNN),
}
MERGE_MODES = ["sum", "mul", "concat", "ave", None]


def pair(name, merge_mode, **options):
    ours, theirs = (
        keras.layers.Bidirectional(make(U, **options), merge_mode=merge_mode)
        for make in PAIRS[name]
    )
    x = np.random.default_rng(0).normal(size=(B, T, D)).astype("float32")
    ours(x), theirs(x)
    ours.set_weights(theirs.get_weights())
    return ours, theirs, tf.constant(x)


@pytest.mark.parametrize("return_state", [False, True], ids=["", "states"])
@pytest.mark.parametrize("return_sequences", [False, True], ids=["last", "all"])
@pytest.mark.parametrize("merge_mode", MERGE_MODES)
@pytest.mark.parametrize(
    "name", ["gru", thorough("lstm"), thorough("simple_rnn")]
)
def test_numbers_are_those_of_keras(
    name, merge_mode, return_sequences, return_state, seed
):
    ours, theirs, x = pair(
        name,
        merge_mode,
        return_sequences=return_sequences,
        return_state=return_state,
    )
    right = np.arange(T) < np.array([[T], [3], [0], [1]])
    scattered = np.random.default_rng(1).random((B, T)) < 0.5
    for mask in (None, right, right[:, ::-1], scattered):
        assert_close(ours(x, mask=mask), theirs(x, mask=mask))


@pytest.mark.parametrize("name", PAIRS)
def test_gradients_are_those_of_keras(name, seed):
    ours, theirs, x = pair(name, "concat", return_sequences=True)
    mask = tf.constant(np.arange(T) < np.array([[T], [3], [0], [1]]))

    def gradients(layer):
        @tf.function(autograph=False)
        def compute(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x, mask=mask, training=True)
                loss = uneven_loss(y)
            return tape.gradient(loss, [x, *layer.trainable_variables])

        return compute(x)

    assert_close(gradients(ours), gradients(theirs))


def test_states_to_start_from(seed):
    ours, theirs, x = pair("lstm", "concat", return_state=True)
    states = [tf.random.normal((B, U)) for _ in range(4)]
    assert_close(ours(x, initial_state=states), theirs(x, initial_state=states))


def test_a_stack_is_trained_saved_and_loaded(tmp_path, seed):
    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(10, D, mask_zero=True)(ids)
    x = keras.layers.Bidirectional(LSTM(U, return_sequences=True))(x)
    x = keras.layers.Bidirectional(GRU(U), merge_mode="sum")(x)
    model = keras.Model(ids, x)
    model.compile("sgd", "mse")
    data = np.array([[1, 2, 3, 0], [4, 0, 0, 0]])
    model.fit(data, np.ones((2, U)), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(data), model(data))
    # The mask comes with the embedding.
    np.testing.assert_allclose(model(data[1:]), model(data[1:, :1]), atol=1e-6)
