"""Which tokens a model is trained on, against a loop in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import (
    Decoder,
    Encoder,
    MaskedCrossentropy,
    Seq2Seq,
    scheduled_sampling,
)
from tests.oracles import thorough

B, T, V = 6, 5, 7


def target():
    rng = np.random.default_rng(0)
    ids = rng.integers(2, V, (B, T))
    return np.where(
        np.arange(T) < np.array([[5], [3], [1], [5], [4], [2]]), ids, 0
    )


def logits_of(ids, state):
    """Of a model that remembers the sum of what it has read."""
    state = state + ids[:, None]
    return np.sin(state * np.arange(V) + np.arange(V) ** 2), state


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_loop_in_numpy(jit_compile):
    rng = np.random.default_rng(1)
    replaced = rng.random((B, T)) < 0.5
    uniform = rng.random((B, T)).astype("float32")
    expected = target()
    state = np.zeros((B, 1))
    for t in range(1, T):
        logits, state = logits_of(expected[:, t - 1], state)
        shares = np.exp(logits[:, 1:])  # never padding
        shares = np.cumsum(shares / shares.sum(1, keepdims=True), axis=1)
        for b in range(B):
            if replaced[b, t] and expected[b, t]:
                expected[b, t] = 1 + np.searchsorted(shares[b], uniform[b, t])

    def step(ids, state):
        state = state + tf.cast(ids[:, tf.newaxis], tf.float32)
        places = tf.range(V, dtype=tf.float32)
        return tf.sin(state * places + places**2), None, state

    @tf.function(jit_compile=jit_compile, autograph=False)
    def traced(ids):
        return scheduled_sampling(
            step, tf.zeros((B, 1)), ids, replaced, uniform
        )

    found = traced(tf.constant(target()))
    np.testing.assert_array_equal(found, expected)
    assert (expected != target()).any()


def build(probability, bias=None):
    keras.utils.set_random_seed(0)
    model = Seq2Seq(
        Encoder(9, 4, 4, cell="simple_rnn", bidirectional=False),
        Decoder(V, 4, 4, cell="simple_rnn"),
        sampling_probability=probability,
    )
    model.build()
    if bias is not None:
        model.decoder.output_layer.bias.assign(bias)
    return model


def batch(size):
    rng = np.random.default_rng(0)
    return {
        "source": rng.integers(1, 9, (size, 4)),
        "target": rng.integers(2, V, (size, 20)) % (V - 1),
    }


def fed(model, inputs, training=True):
    """What the decoder reads."""
    seen = []
    run = model.decoder.attention_cell.run
    model.decoder.attention_cell.run = lambda x, *rest: (
        seen.append(x) or run(x, *rest)
    )
    model(inputs, training=training)
    vectors = model.decoder.embedding.embeddings.numpy()
    distances = np.abs(seen[0].numpy()[..., None, :] - vectors).sum(-1)
    return distances.argmin(-1)


def test_the_share_of_tokens_that_are_replaced():
    """The model writes 6, which the target has nowhere."""
    inputs = batch(200)
    ids = fed(build(0.3, 50.0 * np.eye(V)[6]), inputs)
    real = inputs["target"] != 0
    real[:, 0] = False  # the first one is given
    changed = ids != inputs["target"]
    assert (ids[changed] == 6).all() and not changed[~real].any()
    assert 0.27 < changed[real].mean() < 0.33
    # Neither in evaluation nor without a probability.
    for model, training in ((build(0.3), False), (build(0.0), True)):
        np.testing.assert_array_equal(
            fed(model, inputs, training), inputs["target"]
        )


def test_a_schedule_goes_by_the_steps_of_the_optimizer():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [3], [0.0, 1.0]
    )
    model = build(schedule, 50.0 * np.eye(V)[6])
    inputs = batch(4)
    model.compile(keras.optimizers.SGD(0.0), MaskedCrossentropy())
    for replaced in (False, True):
        ids = fed(model, inputs)
        real = inputs["target"][:, 1:] != 0
        assert (ids[:, 1:] == 6)[real].all() == replaced
        model.fit(inputs, inputs["target"], 1, epochs=2, verbose=0)
    clone = Seq2Seq.from_config(model.get_config())
    assert clone.get_config() == model.get_config()


@pytest.mark.parametrize("jit_compile", [False, thorough(True)])
def test_fit(jit_compile):
    model = build(0.5)
    optimizer = keras.optimizers.Adam(0.02)
    model.compile(optimizer, MaskedCrossentropy(), jit_compile=jit_compile)
    inputs = batch(8)
    history = model.fit(inputs, inputs["target"], epochs=8, verbose=0).history
    assert history["loss"][-1] < 0.9 * history["loss"][0]


def test_bad_probability():
    with pytest.raises(ValueError, match="sampling_probability=1.5"):
        build(1.5)
