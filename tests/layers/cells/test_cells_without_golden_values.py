"""Cells without numbers of another library, against their equations.

Tests `esn_cell.py`, `ind_rnn_cell.py`, `janet_cell.py` and
`layer_norm_gru_cell.py`.
"""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import (
    ESNCell,
    IndRNNCell,
    JANETCell,
    LayerNormGRUCell,
)

B, D, U = 3, 4, 5


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def normalize(x, gamma, beta, epsilon=1e-3):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def layer_norm_gru(cell, x, h):
    w = {weight.name: weight.numpy() for weight in cell.weights}
    a = normalize(
        x @ w["kernel"], w["kernel_norm_gamma"], w["kernel_norm_beta"]
    )
    u = normalize(
        h @ w["recurrent_kernel"],
        w["recurrent_norm_gamma"],
        w["recurrent_norm_beta"],
    )
    a_z, a_r, a_h = np.split(a + w["bias"], 3, axis=1)
    u_z, u_r, u_h = np.split(u, 3, axis=1)
    z, r = sigmoid(a_z + u_z), sigmoid(a_r + u_r)
    return z * h + (1 - z) * np.tanh(a_h + r * u_h)


def janet(cell, x, h):
    kernel, recurrent, bias = (w.numpy() for w in cell.weights)
    s, candidate = np.split(x @ kernel + h @ recurrent + bias, 2, axis=1)
    return sigmoid(s) * h + (1 - sigmoid(s - 0.5)) * np.tanh(candidate)


def ind_rnn(cell, x, h):
    kernel, recurrent, bias = (w.numpy() for w in cell.weights)
    u = np.clip(recurrent, -0.4, 0.4)
    return np.maximum(x @ kernel + u * h + bias, 0)


def esn(cell, x, h):
    kernel, recurrent, bias = (w.numpy() for w in cell.weights)
    return 0.7 * h + 0.3 * np.tanh(x @ kernel + h @ recurrent + bias)


@pytest.mark.parametrize(
    ("cell", "equation"),
    [
        (LayerNormGRUCell(U), layer_norm_gru),
        (JANETCell(U, beta=0.5), janet),
        (IndRNNCell(U, recurrent_clip=0.4), ind_rnn),
        (ESNCell(U, connectivity=0.8, leaky=0.3), esn),
    ],
    ids=["layer_norm_gru", "janet", "ind_rnn", "esn"],
)
def test_equations(cell, equation, seed):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(B, D)).astype("float32")
    h = rng.normal(size=(B, U)).astype("float32")
    cell.build((B, D))
    # Weights that are all different from their first values.
    cell.set_weights([w + rng.normal(size=w.shape) for w in cell.get_weights()])
    for _ in range(3):
        output, (state,) = cell(x, [h])
        h = equation(cell, x, h)
        np.testing.assert_allclose(output, h, atol=1e-5)
        np.testing.assert_array_equal(state, output)


def test_chrono_initialization(seed):
    # An orthogonal matrix of that size would take long to make.
    cell = JANETCell(4000, longest=100, recurrent_initializer="zeros")
    cell.build((None, 1))
    times = np.exp(cell.bias.numpy()[:4000])
    assert times.min() >= 1 and times.max() <= 99
    assert abs(times.mean() - 50) < 2
    assert not cell.bias.numpy()[4000:].any()


@pytest.mark.parametrize("use_norm2", [False, True])
def test_the_reservoir_is_sparse_and_scaled(use_norm2, seed):
    cell = ESNCell(60, 0.3, spectral_radius=0.8, use_norm2=use_norm2)
    cell.build((None, 2))
    kernel = cell.recurrent_kernel.numpy()
    assert abs((kernel != 0).mean() - 0.3) < 0.05
    if use_norm2:
        size = np.linalg.norm(kernel, 2)
    else:
        size = np.abs(np.linalg.eigvals(kernel)).max()
    np.testing.assert_allclose(size, 0.8, rtol=1e-4)
    assert not cell.trainable_variables


def test_the_state_forgets_where_it_started(seed):
    cell = ESNCell(30, connectivity=0.3)
    inputs = tf.random.normal((200, 1, 2))
    states = [tf.ones((1, 30)), -tf.ones((1, 30))]
    for x in inputs:
        states = [cell(x, [state])[0] for state in states]
    np.testing.assert_allclose(*states, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: JANETCell(3, longest=2), "longest=2"),
        (
            lambda: IndRNNCell(3, recurrent_dropout=0.1),
            "recurrent_dropout=0.1",
        ),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
