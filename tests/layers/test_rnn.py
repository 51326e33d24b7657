"""Our layers against Keras's, and what padding must not change.

Tests `loops/gates.py`, `ops/check_built.py` and `parts.py`.
"""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_recurrent.layers import GRU, LSTM, RNN, LSTMCell, SimpleRNN
from tests import oracles

# More rows than `run_cell` needs to cut the batch.
B, T, D, U = 17, 6, 4, 3

PAIRS = {
    "lstm": (LSTM, keras.layers.LSTM, {}),
    "lstm_no_bias": (LSTM, keras.layers.LSTM, {"use_bias": False}),
    "lstm_activations": (
        LSTM,
        keras.layers.LSTM,
        {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
    ),
    "gru": (GRU, keras.layers.GRU, {}),
    "gru_reset_before": (GRU, keras.layers.GRU, {"reset_after": False}),
    "gru_no_bias": (GRU, keras.layers.GRU, {"use_bias": False}),
    "simple_rnn": (SimpleRNN, keras.layers.SimpleRNN, {}),
}

OPTIONS = {
    "last": {},
    "all": {"return_sequences": True, "return_state": True},
    "backwards": {"go_backwards": True, "return_sequences": True},
    "zeros": {"zero_output_for_mask": True, "return_sequences": True},
    "last_zeros": {"zero_output_for_mask": True, "return_state": True},
}


def masks() -> dict[str, np.ndarray | None]:
    rng = np.random.default_rng(0)
    scattered = rng.random((B, T)) < 0.6
    scattered[0] = False  # a whole row
    lengths = rng.integers(1, T + 1, B)
    right = np.arange(T) < lengths[:, None]
    return {
        "none": None,
        "right": right,
        "left": right[:, ::-1],
        "scattered": scattered,
    }


def pair(name, options):
    ours, theirs, arguments = PAIRS[name]
    ours = ours(U, bias_initializer="random_normal", **arguments, **options)
    theirs = theirs(U, bias_initializer="random_normal", **arguments, **options)
    x = np.random.default_rng(1).normal(size=(B, T, D)).astype("float32")
    theirs(x), ours(x)
    ours.set_weights(theirs.get_weights())
    return ours, theirs, tf.constant(x)


def gradients(layer, x, mask, states, training, length=None):
    """Outputs and gradients, in a graph that knows the length if given."""

    def compute(x, states):
        with tf.GradientTape() as tape:
            tape.watch([x, states])
            outputs = tf.nest.flatten(
                layer(
                    x,
                    mask=mask,
                    initial_state=list(states),
                    training=training,
                )
            )
            loss = oracles.uneven_loss(outputs)
        return outputs, tape.gradient(
            loss, [x, *states, *layer.trainable_variables]
        )

    signature = [
        tf.TensorSpec((None, length, D)),
        [tf.TensorSpec((None, U))] * len(states),
    ]
    return tf.function(compute, autograph=False, input_signature=signature)(
        x, states
    )


assert_close = partial(oracles.assert_close, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (name, "all")
        if name in ("lstm", "gru", "simple_rnn")
        else oracles.thorough(name, "all")
        for name in PAIRS
    ]
    + [("gru", options) for options in OPTIONS if options != "all"],
)
def test_numbers_and_gradients_are_those_of_keras(name, options, seed):
    ours, theirs, x = pair(name, OPTIONS[options])
    states = [tf.random.normal((B, U)) for _ in ours.cell.get_initial_state(1)]
    for kind, mask in masks().items():
        arguments = {"mask": mask, "initial_state": states}
        for training in (False, True):
            assert_close(
                ours(x, training=training, **arguments), theirs(x, **arguments)
            )
        if kind in ("left", "right"):
            continue
        expected = gradients(theirs, x, mask, states, training=False)
        assert_close(gradients(ours, x, mask, states, True), expected)
        if kind == "scattered" and options == "all":
            # With a known length the loops are compiled.
            assert_close(gradients(ours, x, mask, states, True, T), expected)
            assert_close(gradients(ours, x, mask, states, False), expected)


@oracles.tried(few=5, many=30)
@given(
    lengths=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    place=st.sampled_from(["right", "left", "inside"]),
    name=st.sampled_from(["lstm", "gru", "simple_rnn"]),
    backwards=st.booleans(),
)
def test_padding_changes_nothing(lengths, place, name, backwards):
    rng = np.random.default_rng(len(lengths))
    layer = PAIRS[name][0](
        U, return_sequences=True, return_state=True, go_backwards=backwards
    )
    width = 6
    x = rng.normal(size=(len(lengths), width, D)).astype("float32")
    mask = np.zeros((len(lengths), width), bool)
    for row, length in enumerate(lengths):
        start = {"right": 0, "left": width - length, "inside": 1}[place]
        mask[row, start : start + length] = True
    padded, *states = layer(x, mask=mask)
    seen = mask[:, ::-1] if backwards else mask
    for row in range(len(lengths)):
        alone, *alone_states = layer(x[row : row + 1, mask[row]])
        np.testing.assert_allclose(padded[row][seen[row]], alone[0], atol=1e-5)
        for state, alone_state in zip(states, alone_states, strict=True):
            np.testing.assert_allclose(state[row], alone_state[0], atol=1e-5)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("shape", [(0, T, D), (B, 0, D)])
def test_nothing_in_nothing_out(name, shape):
    ours, _, _ = pair(name, {"return_sequences": True, "return_state": True})
    for call in (ours, tf.function(lambda x: ours(x, training=True))):
        outputs, *states = call(tf.zeros(shape))
        assert outputs.shape == (*shape[:2], U)
        for state in states:
            np.testing.assert_array_equal(state, np.zeros((shape[0], U)))


def test_stateful_goes_on_where_it_was():
    x = np.random.default_rng(2).normal(size=(B, 2 * T, D)).astype("float32")
    layer = LSTM(U, return_sequences=True, stateful=True)
    halves = [layer(x[:, :T]), layer(x[:, T:])]
    whole = RNN(layer.cell, return_sequences=True)
    np.testing.assert_allclose(tf.concat(halves, 1), whole(x), atol=1e-6)
    layer.reset_state()
    np.testing.assert_allclose(layer(x[:, :T]), halves[0], atol=1e-6)


def test_stateful_needs_a_batch_size():
    with pytest.raises(ValueError, match="fixed batch size"):
        LSTM(U, stateful=True)(keras.Input((T, D)))


def test_dropout_is_for_training_alone(seed):
    layer = GRU(U, dropout=0.5, recurrent_dropout=0.5)
    plain = GRU(U)
    x = tf.random.normal((B, T, D))
    layer(x), plain(x)
    plain.cell.set_weights([w.numpy() for w in layer.cell.trainable_variables])
    before = layer.cell.seed_generator.state.numpy()
    np.testing.assert_allclose(layer(x), plain(x), atol=1e-6)
    np.testing.assert_array_equal(layer.cell.seed_generator.state, before)
    inference = tf.function(lambda x: layer(x)).get_concrete_function(x)
    operations = inference.graph.as_graph_def()
    names = [node.op for node in operations.node] + [
        node.op for f in operations.library.function for node in f.node_def
    ]
    assert not [name for name in names if "Random" in name]
    assert not np.allclose(layer(x, training=True), plain(x), atol=1e-2)


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_a_sentence_has_one_dropout_mask(graph, seed):
    """With W = I, U = 0 a step shows which of its inputs were dropped."""
    layer = SimpleRNN(
        D,
        activation="linear",
        kernel_initializer="identity",
        recurrent_initializer="zeros",
        dropout=0.4,
        return_sequences=True,
    )
    x = tf.ones((400, T, D))
    call = tf.function(layer) if graph else layer
    y = call(x, training=True).numpy()
    assert (y == y[:, :1]).all()
    assert set(np.unique(y.round(4))) == {0.0, np.float32(1.6667)}
    assert abs((y[:, 0] == 0).mean() - 0.4) < 0.05
    assert len(np.unique(y[:, 0], axis=0)) == 2**D


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_a_sentence_has_one_recurrent_dropout_mask(graph, seed):
    """With U = I and no input a step shows which states were dropped."""
    layer = SimpleRNN(
        D,
        activation="linear",
        kernel_initializer="zeros",
        recurrent_initializer="identity",
        recurrent_dropout=0.5,
        return_sequences=True,
    )
    call = tf.function(layer) if graph else layer
    y = call(
        tf.zeros((400, 3, D)), initial_state=tf.ones((400, D)), training=True
    ).numpy()
    # Once dropped, always dropped; once kept, doubled at each step.
    kept = y[:, 0] > 0
    np.testing.assert_allclose(
        y, kept[:, None] * np.array([2, 4, 8])[:, None], atol=1e-5
    )
    assert abs(kept.mean() - 0.5) < 0.05


def test_the_policy_of_the_cell_is_that_of_the_layer():
    assert RNN(LSTMCell(U, dtype="mixed_float16")).compute_dtype == "float16"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LSTM(0), "units=0"),
        (lambda: LSTM(2.5), "units=2.5"),
        (lambda: GRU(3, dropout=1.0), "dropout=1.0"),
        (lambda: GRU(3, recurrent_dropout=-0.1), "recurrent_dropout=-0.1"),
        (lambda: RNN(3), "`cell` must have `call`"),
        (lambda: SimpleRNN(3, no_such_argument=1), "no_such_argument"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_wrong_number_of_initial_states():
    with pytest.raises(ValueError, match="must hold 2 tensor"):
        LSTM(U)(tf.zeros((B, T, D)), initial_state=[tf.zeros((B, U))])


@pytest.mark.parametrize("backwards", [False, True])
def test_gates_are_those_of_the_equations(backwards, seed):
    layer = LSTM(U, go_backwards=backwards, return_sequences=True)
    x = np.random.default_rng(3).normal(size=(2, T, D)).astype("float32")
    mask = np.array([[True] * T, [True] * 3 + [False] * (T - 3)])
    gates = layer.gates(x, mask=mask)
    assert set(gates) == {"input", "forget", "candidate", "output"}
    outputs = layer(x, mask=mask).numpy()
    if backwards:
        outputs = outputs[:, ::-1]
    # From the gates alone the outputs follow.
    for row in range(2):
        steps = np.flatnonzero(mask[row])
        c = np.zeros(U)
        for t in reversed(steps) if backwards else steps:
            i, f, candidate, o = (
                gates[name][row, t].numpy()
                for name in ("input", "forget", "candidate", "output")
            )
            c = f * c + i * candidate
            np.testing.assert_allclose(
                outputs[row, t], o * np.tanh(c), atol=1e-5
            )
        assert not gates["input"][row].numpy()[~mask[row]].any()


def test_gates_in_half_precision_are_those_of_single_precision(seed):
    x = np.random.default_rng(3).normal(size=(2, T, D)).astype("float32")
    half, single = LSTM(U, dtype="mixed_bfloat16"), LSTM(U)
    single.build((2, T, D))
    half.build((2, T, D))
    half.set_weights(single.get_weights())
    for name, expected in single.gates(x).items():
        found = half.gates(x)[name]
        assert found.dtype == tf.bfloat16
        np.testing.assert_allclose(
            tf.cast(found, tf.float32), expected, atol=0.03
        )
