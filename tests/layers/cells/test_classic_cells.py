"""LSTM, GRU and simple RNN against the equations of their docstrings.

Tests `gru_cell.py`, `lstm_cell.py`, `recurrent_cell.py` and
`simple_rnn_cell.py`.
"""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import RNN, GRUCell, LSTMCell, SimpleRNNCell
from keras_recurrent.layers.cells import get_cell
from tests.oracles import GOLDEN

B, D, U = 3, 4, 5


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def simple_rnn(x, states, kernel, recurrent, bias):
    (h,) = states
    return [np.tanh(x @ kernel + h @ recurrent + bias)]


def lstm(x, states, kernel, recurrent, bias):
    h, c = states
    joined = np.concatenate([h, x], axis=1)  # [h_{t-1}, x_t]
    weights = np.concatenate([recurrent, kernel])
    w_i, w_f, w_c, w_o = np.split(weights, 4, axis=1)
    b_i, b_f, b_c, b_o = np.split(bias, 4)
    f = sigmoid(joined @ w_f + b_f)
    i = sigmoid(joined @ w_i + b_i)
    o = sigmoid(joined @ w_o + b_o)
    c = f * c + i * np.tanh(joined @ w_c + b_c)
    return [o * np.tanh(c), c]


def gru(x, states, kernel, recurrent, bias, past=True):
    """With `past=False` in the convention where z weighs the present."""
    (h,) = states
    w_z, w_r, w_h = np.split(kernel, 3, axis=1)
    u_z, u_r, u_h = np.split(recurrent, 3, axis=1)
    (b_z, b_r, b_h), (c_z, c_r, c_h) = (np.split(b, 3) for b in bias)
    r = sigmoid(x @ w_r + h @ u_r + b_r + c_r)
    z = sigmoid(x @ w_z + h @ u_z + b_z + c_z)
    candidate = np.tanh(x @ w_h + r * (h @ u_h + c_h) + b_h)
    z = z if past else 1 - z
    return [z * h + (1 - z) * candidate]


def gru_reset_before(x, states, kernel, recurrent, bias):
    (h,) = states
    w_z, w_r, w_h = np.split(kernel, 3, axis=1)
    u_z, u_r, u_h = np.split(recurrent, 3, axis=1)
    b_z, b_r, b_h = np.split(bias, 3)
    r = sigmoid(x @ w_r + h @ u_r + b_r)
    z = sigmoid(x @ w_z + h @ u_z + b_z)
    candidate = np.tanh(x @ w_h + (r * h) @ u_h + b_h)
    return [z * h + (1 - z) * candidate]


CASES = {
    "simple_rnn": (SimpleRNNCell, {}, simple_rnn),
    "lstm": (LSTMCell, {}, lstm),
    "gru": (GRUCell, {}, gru),
    "gru_reset_before": (GRUCell, {"reset_after": False}, gru_reset_before),
}


@pytest.mark.parametrize("name", CASES)
def test_equations(name, seed):
    make, arguments, equations = CASES[name]
    cell = make(U, bias_initializer="random_normal", **arguments)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(B, D)).astype("float32")
    states = [
        rng.normal(size=(B, U)).astype("float32")
        for _ in cell.get_initial_state(B)
    ]
    output, new_states = cell(x, states)
    expected = equations(x, states, *cell.get_weights())
    np.testing.assert_allclose(output, expected[0], atol=1e-6)
    for state, value in zip(new_states, expected, strict=True):
        np.testing.assert_allclose(state, value, atol=1e-6)


def test_the_other_convention_of_the_gru_is_a_change_of_sign(seed):
    cell = GRUCell(U, bias_initializer="random_normal")
    rng = np.random.default_rng(0)
    x, h = rng.normal(size=(B, D)), rng.normal(size=(B, U))
    cell.build((B, D))
    weights = cell.get_weights()
    turned = [weight.copy() for weight in weights]
    for weight in turned:
        weight[..., :U] *= -1  # W_z, U_z and b_z
    cell.set_weights(turned)
    output, _ = cell(x.astype("float32"), [h.astype("float32")])
    expected = gru(x, [h], *weights, past=False)
    np.testing.assert_allclose(output, expected[0], atol=1e-6)


def test_an_update_gate_of_one_keeps_the_past():
    cell = GRUCell(U)
    cell.build((B, D))
    kernel, recurrent, bias = cell.get_weights()
    bias[0, :U] = 50.0  # z = 1
    cell.set_weights([kernel, recurrent, bias])
    h = np.random.default_rng(0).normal(size=(B, U)).astype("float32")
    output, _ = cell(np.ones((B, D), "float32"), [h])
    np.testing.assert_allclose(output, h, atol=1e-6)


@pytest.mark.parametrize(
    ("file", "make"),
    [
        ("keras_simple_rnn_cell", lambda: SimpleRNNCell(6)),
        ("keras_lstm_cell", lambda: LSTMCell(6)),
        ("keras_gru_cell_reset_after", lambda: GRUCell(6)),
        (
            "keras_gru_cell_reset_before",
            lambda: GRUCell(6, reset_after=False),
        ),
    ],
)
def test_golden_values_of_keras_2(file, make):
    golden = np.load(GOLDEN / f"{file}.npz")
    layer = RNN(make(), return_sequences=True, return_state=True)
    x = tf.constant(golden["x"])
    layer(x)
    layer.set_weights([golden[key] for key in golden if key.startswith("w/")])

    @tf.function(autograph=False)
    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y, *_ = layer(x, training=True)
            loss = tf.reduce_sum(y * y)
        return tape.gradient(loss, [x, *layer.trainable_variables])

    for suffix, mask in (("", None), ("_masked", golden["mask"])):
        y, *states = layer(x, mask=mask)
        np.testing.assert_allclose(y, golden[f"y{suffix}"], atol=1e-5)
        for number, state in enumerate(states):
            expected = golden[f"state{number}{suffix}"]
            np.testing.assert_allclose(state, expected, atol=1e-5)
    dx, *dw = gradients(x)
    np.testing.assert_allclose(dx, golden["dx"], atol=1e-5)
    keys = [key for key in golden if key.startswith("dw/")]
    for gradient, key in zip(dw, keys, strict=True):
        np.testing.assert_allclose(gradient, golden[key], atol=1e-5, rtol=1e-5)


def test_unit_forget_bias():
    cell = LSTMCell(2)
    cell.build((None, 3))
    np.testing.assert_array_equal(cell.bias, [0, 0, 1, 1, 0, 0, 0, 0])
    cell = LSTMCell(2, unit_forget_bias=False)
    cell.build((None, 3))
    np.testing.assert_array_equal(cell.bias, np.zeros(8))


def test_an_unknown_cell_is_named():
    with pytest.raises(ValueError, match="gru, .*Received: 'grru'"):
        get_cell("grru")
