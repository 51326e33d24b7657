"""The cells of tensorflow-addons, against numbers that it computed.

Tests `layer_norm.py`, `layer_norm_lstm_cell.py`,
`layer_norm_simple_rnn_cell.py`, `nas_cell.py` and `peephole_lstm_cell.py`.
"""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import (
    RNN,
    LayerNormLSTMCell,
    LayerNormSimpleRNNCell,
    NASCell,
    PeepholeLSTMCell,
)
from tests.oracles import GOLDEN

UNITS = 6
CELLS = {
    "layer_norm_lstm_cell": lambda: LayerNormLSTMCell(UNITS),
    "layer_norm_simple_rnn_cell": lambda: LayerNormSimpleRNNCell(UNITS),
    "nas_cell": lambda: NASCell(UNITS, use_bias=True),
    "peephole_lstm_cell": lambda: PeepholeLSTMCell(UNITS),
}


def by_name(golden, prefix):
    """Arrays of the weights, by the name that ours have."""
    return {
        # w/rnn/layer_norm_lstm_cell/kernel_norm/gamma: kernel_norm_gamma
        "_".join(key.split("/")[3:]): golden[key]
        for key in golden
        if key.startswith(prefix)
    }


@pytest.mark.parametrize("name", CELLS)
def test_golden_values(name):
    golden = np.load(GOLDEN / f"{name}.npz")
    layer = RNN(CELLS[name](), return_sequences=True, return_state=True)
    x = tf.constant(golden["x"])
    layer(x)
    values = by_name(golden, "w/")
    assert {w.name for w in layer.weights} == values.keys()
    layer.set_weights([values[w.name] for w in layer.weights])

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
    np.testing.assert_allclose(dx, golden["dx"], atol=1e-5, rtol=1e-5)
    expected = by_name(golden, "dw/")
    for gradient, weight in zip(dw, layer.trainable_variables, strict=True):
        np.testing.assert_allclose(
            gradient, expected[weight.name], atol=1e-5, rtol=1e-5
        )


def test_projection_of_the_nas_cell(seed):
    """The projection is a product after the step, and the new m."""
    plain, cell = NASCell(UNITS), NASCell(UNITS, projection=4)
    x = np.random.default_rng(0).normal(size=(2, 3)).astype("float32")
    state = [tf.ones((2, UNITS)), tf.zeros((2, 4))]
    output, (c, m) = cell(x, state)
    plain(x, [tf.ones((2, UNITS))] * 2)
    plain.set_weights([cell.kernel, tf.zeros((UNITS, 8 * UNITS))])
    expected, (expected_c, _) = plain(x, [state[0], tf.zeros((2, UNITS))])
    np.testing.assert_allclose(c, expected_c, atol=1e-6)
    np.testing.assert_allclose(
        output, expected @ cell.projection_weights.numpy(), atol=1e-6
    )
    np.testing.assert_array_equal(m, output)
    np.testing.assert_array_equal(cell.output_of([c, m]), m)
