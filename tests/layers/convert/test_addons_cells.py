"""Weights of tensorflow-addons, by the names and in the order it has."""

import numpy as np
import pytest

from keras_recurrent.layers import (
    RNN,
    ESNCell,
    LayerNormLSTMCell,
    LayerNormSimpleRNNCell,
    MGUCell,
    NASCell,
    PeepholeLSTMCell,
)
from keras_recurrent.layers.convert import load_addons_weights
from tests.oracles import GOLDEN

U = 6
CELLS = {
    "addons_esn_cell": lambda: ESNCell(U, leaky=0.7),
    "addons_nas_cell_projected": lambda: NASCell(
        U, projection=3, use_bias=True
    ),
    "layer_norm_lstm_cell": lambda: LayerNormLSTMCell(U),
    "layer_norm_simple_rnn_cell": lambda: LayerNormSimpleRNNCell(U),
    "nas_cell": lambda: NASCell(U, use_bias=True),
    "peephole_lstm_cell": lambda: PeepholeLSTMCell(U),
}


@pytest.mark.parametrize("form", ["names", "layer names", "order"])
@pytest.mark.parametrize("name", CELLS)
def test_golden_values(name, form):
    golden = np.load(GOLDEN / f"{name}.npz")
    weights = {
        key.removeprefix("w/"): golden[key]
        for key in golden
        if key.startswith("w/")
    }
    if form == "names":
        # rnn/layer_norm_lstm_cell/kernel_norm/gamma: kernel_norm/gamma
        weights = {key.split("/", 2)[2]: w for key, w in weights.items()}
    elif form == "order":
        weights = list(weights.values())
    cell = CELLS[name]()
    load_addons_weights(cell, weights)
    y, *states = RNN(cell, return_sequences=True, return_state=True)(
        golden["x"]
    )
    np.testing.assert_allclose(y, golden["y"], atol=1e-5)
    for number, state in enumerate(states):
        np.testing.assert_allclose(state, golden[f"state{number}"], atol=1e-5)


def test_cells_without_a_bias_built_before():
    cell = PeepholeLSTMCell(2, use_bias=False)
    cell.build((None, 3))
    shapes = [(3, 8), (2, 8), (2,), (2,), (2,)]
    weights = [np.full(shape, n) for n, shape in enumerate(shapes)]
    load_addons_weights(cell, weights)
    for expected, weight in zip(weights, cell.weights, strict=True):
        np.testing.assert_array_equal(weight, expected)


def named(**shapes):
    return {name: np.ones(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(
    "cell, weights, message",
    [
        (
            lambda: NASCell(2),
            [np.ones((2, 16))],
            "2 arrays: recurrent_kernel, kernel. Received: 1 arrays",
        ),
        (
            lambda: NASCell(2),
            named(kernel=(3, 16), bias=(16,)),
            r"Missing: \['recurrent_kernel'\]. Not expected: \['bias'\]",
        ),
        (
            lambda: NASCell(2),
            named(kernel=(3, 16), recurrent_kernel=(16, 2)),
            r"`recurrent_kernel` .* \(2, 16\). Received: \(16, 2\)",
        ),
        (
            lambda: ESNCell(2, use_bias=False),
            named(kernel=(), recurrent_kernel=(2, 2)),
            r"`kernel` must be a matrix. Received: .* shape \(\)",
        ),
        (lambda: MGUCell(2), [], "one of .*PeepholeLSTMCell.*: <MGUCell"),
    ],
)
def test_bad_weights(cell, weights, message):
    with pytest.raises(ValueError, match=message):
        load_addons_weights(cell(), weights)
