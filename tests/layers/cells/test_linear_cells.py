"""Cells that are scanned: their equations, and the scan against the loop.

Tests `linear_cell.py`, `lru_cell.py`, `min_gru_cell.py`, `min_lstm_cell.py`,
`qrnn_cell.py`, `rg_lru_cell.py` and `sru_cell.py`.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_recurrent.layers import (
    RNN,
    LRUCell,
    MinGRUCell,
    MinLSTMCell,
    QRNNCell,
    RGLRUCell,
    SRUCell,
)
from keras_recurrent.layers.ops.recurrence import (
    recurrence,
    swap_batch_and_time,
)
from tests.oracles import tried, uneven_loss

B, D, U = 3, 4, 5


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def g(x):
    return np.where(x >= 0, x + 0.5, sigmoid(x))


def weights(cell):
    return {weight.name: weight.numpy() for weight in cell.weights}


# Each takes the inputs (T, D) of one sentence and the state to start from, and
# returns the outputs (T, U), by the equations of the paper.


def min_gru(cell, x, h):
    w, outputs = weights(cell), []
    for x_t in x @ w["kernel"] + w["bias"]:
        z, candidate = np.split(x_t, 2)
        z = sigmoid(z)
        h = (1 - z) * h + z * g(candidate)
        outputs.append(h)
    return outputs


def min_lstm(cell, x, h):
    w, outputs = weights(cell), []
    for x_t in x @ w["kernel"] + w["bias"]:
        f, i, candidate = np.split(x_t, 3)
        f, i = sigmoid(f), sigmoid(i)
        h = f / (f + i) * h + i / (f + i) * g(candidate)
        outputs.append(h)
    return outputs


def sru(cell, x, c):
    w, outputs = weights(cell), []
    w_f, w_r, w_c, *w_x = np.split(w["kernel"], cell.parts, axis=1)
    b_f, b_r = np.split(w["bias"], 2)
    v_f, v_r = np.split(w.get("recurrent_kernel", np.zeros(2 * cell.units)), 2)
    for x_t in x:
        f = sigmoid(x_t @ w_f + v_f * c + b_f)
        r = sigmoid(x_t @ w_r + v_r * c + b_r)
        c = f * c + (1 - f) * (x_t @ w_c)
        skipped = x_t @ w_x[0] if w_x else x_t
        outputs.append(r * np.tanh(c) + (1 - r) * skipped)
    return outputs


def qrnn(cell, x, c):
    w, outputs = weights(cell), []
    k = len(w["kernel"])
    padded = np.concatenate([np.zeros((k - 1, x.shape[1])), x])
    for t in range(len(x)):
        window = np.einsum("kd,kdu->u", padded[t : t + k], w["kernel"])
        z, f, o = np.split(window + w["bias"], 3)
        f = sigmoid(f)
        c = f * c + (1 - f) * np.tanh(z)
        outputs.append(sigmoid(o) * c)
    return outputs


def lru(cell, x, h):
    w, outputs = weights(cell), []
    b_real, b_imaginary, d = np.split(w["kernel"], 3, axis=1)
    c_real, c_imaginary = np.split(w["recurrent_kernel"], 2, axis=1)
    b, c = b_real + 1j * b_imaginary, c_real - 1j * c_imaginary
    eigenvalues = np.exp(-np.exp(w["nu"]) + 1j * np.exp(w["theta"]))
    for x_t in x:
        h = eigenvalues * h + np.exp(w["gamma"]) * (x_t @ b)
        outputs.append((h @ c).real + x_t @ d + w["bias"])
    return outputs


def rg_lru(cell, x, h):
    w, outputs = weights(cell), []
    w_a, w_i, *w_x = np.split(w["kernel"], cell.parts, axis=1)
    b_a, b_i = np.split(w["bias"], 2)
    for x_t in x:
        r, i = sigmoid(x_t @ w_a + b_a), sigmoid(x_t @ w_i + b_i)
        a = sigmoid(-w["decay"]) ** (8 * r)
        value = x_t @ w_x[0] if w_x else x_t
        h = a * h + np.sqrt(1 - a**2) * i * value
        outputs.append(h)
    return outputs


EQUATIONS = {
    "min_gru": (lambda **k: MinGRUCell(U, **k), min_gru),
    "min_lstm": (lambda **k: MinLSTMCell(U, **k), min_lstm),
    "sru": (lambda **k: SRUCell(U, "tanh", **k), sru),
    "sru_skip": (lambda **k: SRUCell(D, "tanh", **k), sru),
    "sru_sequential": (
        lambda **k: SRUCell(U, "tanh", gates_see_state=True, **k),
        sru,
    ),
    "qrnn": (lambda **k: QRNNCell(U, **k), qrnn),
    "qrnn_1": (lambda **k: QRNNCell(U, window=1, **k), qrnn),
    "qrnn_4": (lambda **k: QRNNCell(U, window=4, **k), qrnn),
    "lru": (lambda **k: LRUCell(U, use_bias=True, **k), lru),
    "rg_lru": (lambda **k: RGLRUCell(U, **k), rg_lru),
    "rg_lru_skip": (lambda **k: RGLRUCell(D, **k), rg_lru),
}
SCANNED = [name for name in EQUATIONS if name != "sru_sequential"]


def make(name, **kwargs):
    cell = EQUATIONS[name][0](bias_initializer="random_normal", **kwargs)
    cell.build((None, D))
    return cell


def states_of(cell, rng, rows=B):
    return [
        tf.constant(rng.normal(size=state.shape), state.dtype)
        for state in cell.get_initial_state(rows)
    ]


@pytest.mark.parametrize("name", EQUATIONS)
def test_equations(name, seed):
    rng = np.random.default_rng(0)
    cell = make(name)
    x = rng.normal(size=(B, 9, D)).astype("float32")
    states = states_of(cell, rng)
    if name.startswith("qrnn"):
        # What the sums already contain is zero before the first input.
        states[1:] = [tf.zeros_like(state) for state in states[1:]]
    first = states[0].numpy()
    if name == "lru":
        first = first + 1j * states[1].numpy()
    expected = [
        EQUATIONS[name][1](cell, x[row], first[row]) for row in range(B)
    ]
    layer = RNN(cell, return_sequences=True)
    np.testing.assert_allclose(
        layer(x, initial_state=states), expected, atol=1e-5
    )
    for t in range(9):
        output, states = cell(x[:, t], states)
        np.testing.assert_allclose(
            output, [row[t] for row in expected], atol=1e-5
        )


def forward(cell, x, states, mask, by):
    """Outputs and final states, by the scan or by the loop over the step."""
    projected = cell.project(x)
    if by == "scan":
        outputs, final = cell.scan(projected, states, mask)
    else:
        nothing = tf.zeros((x.shape[1], cell.units), cell.compute_dtype)
        outputs, final = recurrence(cell.step, projected, states, nothing, mask)
    if mask is not None:
        seen = tf.cumsum(tf.cast(mask, tf.int32)) > 0
        outputs = tf.where(seen[..., None], outputs, 0)
    return [outputs, *final]


def run(cell, x, states, mask, by, forward=forward):
    """Results and gradients."""
    with tf.GradientTape() as tape:
        tape.watch([x, states])
        results = forward(cell, x, states, mask, by)
        loss = uneven_loss(results[0]) + uneven_loss(results[1:], 1.0)
    sources = [x, *states, *cell.trainable_variables]
    return [*results, *tape.gradient(loss, sources)]


def assert_close_to_scale(ours, expected, tolerance=2e-5):
    for a, b in zip(ours, expected, strict=True):
        a, b = np.asarray(a, "float32"), np.asarray(b, "float32")
        scale = max(1.0, np.abs(b).max(initial=0))
        np.testing.assert_allclose(a, b, atol=tolerance * scale)


@tried(few=10, many=60)
@given(
    name=st.sampled_from(SCANNED),
    masks=st.lists(
        st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=3
    ),
    masked=st.booleans(),
    seed=st.integers(0, 9),
)
def test_scan_is_the_loop(name, masks, masked, seed):
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    cell = make(name)
    x = tf.constant(rng.normal(size=(6, len(masks), D)), tf.float32)
    states = states_of(cell, rng, len(masks))
    mask = tf.constant(masks)
    mask = tf.transpose(mask) if masked else None
    assert_close_to_scale(
        run(cell, x, states, mask, "scan"), run(cell, x, states, mask, "loop")
    )


@pytest.mark.parametrize(
    "name",
    [
        "min_gru",
        "min_lstm",
        "sru",
        "sru_sequential",
        "qrnn_4",
        "lru",
        "rg_lru_skip",
    ],
)
def test_layers_agree_on_every_path(name, seed):
    """Eagerly, in a graph of any length, compiled; there and back."""
    rng, time = np.random.default_rng(1), 40
    cell = make(name)
    x = tf.constant(rng.normal(size=(B, time, D)), tf.float32)
    mask = tf.constant(rng.random((B, time)) < 0.7)
    states = states_of(cell, rng)
    expected = run(
        cell,
        tf.reverse(swap_batch_and_time(x), [0]),
        states,
        tf.reverse(swap_batch_and_time(mask), [0]),
        "loop",
    )
    expected[0] = swap_batch_and_time(expected[0])
    at = 1 + len(states)
    expected[at] = tf.reverse(swap_batch_and_time(expected[at]), [1])
    layer = RNN(
        cell, return_sequences=True, return_state=True, go_backwards=True
    )

    def call(x, mask, *states):
        with tf.GradientTape() as tape:
            tape.watch([x, *states])
            outputs, *final = layer(
                x, mask=mask, initial_state=list(states), training=True
            )
            loss = uneven_loss(outputs) + uneven_loss(final, 1.0)
        sources = [x, *states, *cell.trainable_variables]
        return [outputs, *final, *tape.gradient(loss, sources)]

    assert_close_to_scale(call(x, mask, *states), expected, 5e-5)
    for length in (None, time):
        graph = tf.function(
            call,
            autograph=False,
            input_signature=[
                tf.TensorSpec((None, length, D)),
                tf.TensorSpec((None, length), tf.bool),
                *(tf.TensorSpec((None, s.shape[1])) for s in states),
            ],
        )
        assert_close_to_scale(graph(x, mask, *states), expected, 5e-5)
    last = RNN(cell, zero_output_for_mask=True, go_backwards=True)
    alive = mask[:, :1]
    np.testing.assert_allclose(
        last(x, mask=mask, initial_state=states),
        tf.where(alive, expected[0][:, -1], 0.0),
        atol=1e-5,
    )


@pytest.mark.parametrize("name", SCANNED)
@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(name, dtype, seed):
    """Under a policy scan and loop agree to the last bit of a half or so."""
    cell = make(name, dtype=dtype)
    x = tf.random.normal((30, B, D), dtype=cell.compute_dtype)
    states = states_of(cell, np.random.default_rng(2))
    assert {state.dtype for state in states} == {tf.float32}

    class Layer(keras.Layer):
        """Casts what it calls to the dtype policy, as layers do."""

        def call(self, x, by):
            return forward(cell, x, states, None, by)

    layer = Layer(dtype=dtype)
    scanned, looped = (
        run(cell, x, states, None, by, lambda *a: layer(x, by=a[-1]))
        for by in ("scan", "loop")
    )
    assert scanned[0].dtype == cell.compute_dtype
    tolerance = 2e-3 if dtype == "mixed_float16" else 2e-2
    assert_close_to_scale(scanned, looped, tolerance)


def test_qrnn_convolves_as_keras_does(seed):
    cell = make("qrnn_4")
    conv = keras.layers.Conv1D(3 * U, 4, padding="causal")
    conv.build((None, None, D))
    conv.set_weights([cell.kernel.numpy(), cell.bias.numpy()])
    x = tf.random.normal((B, 8, D))
    z, f, o = tf.split(conv(x), 3, axis=-1)
    gates = RNN(cell).gates(x)
    np.testing.assert_allclose(gates["candidate"], tf.tanh(z), atol=1e-5)
    np.testing.assert_allclose(gates["forget"], tf.sigmoid(f), atol=1e-5)
    np.testing.assert_allclose(gates["output"], tf.sigmoid(o), atol=1e-5)


def test_gates_that_saturate_have_gradients():
    for cell in (MinLSTMCell(U), RGLRUCell(U)):
        cell.build((None, D))
        x = tf.fill((3, B, D), 1e4) * [1.0, -1.0, 1.0, -2.0]
        results = run(cell, x, cell.get_initial_state(B), None, "scan")
        assert all(np.isfinite(result).all() for result in results)


def test_first_values(seed):
    cell = LRUCell(4000, r_min=0.8, r_max=0.9, max_phase=1.0)
    cell.build((None, 1))
    w = weights(cell)
    modulus = np.exp(-np.exp(w["nu"]))
    assert modulus.min() >= 0.8 and modulus.max() <= 0.9
    assert abs((modulus**2).mean() - (0.64 + 0.81) / 2) < 0.01
    assert abs(np.exp(w["theta"]).mean() - 0.5) < 0.02
    np.testing.assert_allclose(
        np.exp(w["gamma"]), np.sqrt(1 - modulus**2), rtol=1e-4
    )
    cell = RGLRUCell(4000)
    cell.build((None, 1))
    decay = sigmoid(-weights(cell)["decay"])
    assert 0.9 <= decay.min() < 0.901 and 0.998 < decay.max() <= 0.99901


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (lambda: QRNNCell(3, window=0), "window=0"),
        (lambda: LRUCell(3, r_min=0.9, r_max=0.5), "r_max=0.5"),
        (lambda: RGLRUCell(3, r_max=1.0), "r_max=1.0"),
        (lambda: MinGRUCell(3, recurrent_dropout=0.1), "recurrent_dropout=0.1"),
    ],
)
def test_bad_arguments(new, message):
    with pytest.raises(ValueError, match=message):
        new()
