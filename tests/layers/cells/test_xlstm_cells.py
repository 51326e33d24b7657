"""sLSTM and mLSTM against the equations of the paper, without a stabiliser.

Tests `mlstm_cell.py`, `mlstm_scan.py` and `slstm_cell.py`.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import RNN, MLSTMCell, SLSTMCell
from keras_recurrent.layers.ops.recurrence import recurrence
from tests.oracles import thorough, uneven_loss

B, T, D, U = 3, 6, 4, 6
MASK = np.ones((B, T), "bool")
MASK[1, 3:], MASK[2, :2] = False, False


def slstm(cell, x, kernel, recurrent, bias):
    """In float64, where exp does not overflow so soon."""
    heads, d = cell.num_heads, U // cell.num_heads
    h, c, n = (tf.zeros((1, U), x.dtype) for _ in "hcn")
    for x_t in x:
        gates = tf.reshape(x_t[None] @ kernel + bias, (4, U))
        blocks = tf.reshape(recurrent, (d, heads, 4, d))
        gates += tf.reshape(
            tf.einsum("kd,dkge->gke", tf.reshape(h, (heads, d)), blocks), (4, U)
        )
        i, f, z, o = tf.unstack(gates)
        f = tf.exp(f) if cell.exponential_forget_gate else tf.sigmoid(f)
        c = f * c + tf.exp(i) * tf.tanh(z)
        n = f * n + tf.exp(i)
        h = tf.sigmoid(o) * c / n
        yield h[0]


def mlstm(cell, x, kernel, bias):
    heads, d = cell.num_heads, U // cell.num_heads
    c, n = tf.zeros((heads, d, d), x.dtype), tf.zeros((heads, d), x.dtype)
    for x_t in x:
        q, k, v, o, i, f = tf.split(
            (x_t[None] @ kernel + bias)[0], [U, U, U, U, heads, heads]
        )
        q, k, v = (tf.reshape(a, (heads, d)) for a in (q, k, v))
        k = k / np.sqrt(d)
        f = tf.exp(f) if cell.exponential_forget_gate else tf.sigmoid(f)
        i = tf.exp(i)
        c = f[:, None, None] * c + tf.einsum("k,ki,kj->kij", i, v, k)
        n = f[:, None] * n + i[:, None] * k
        top = tf.einsum("kij,kj->ki", c, q)
        below = tf.maximum(tf.abs(tf.einsum("kj,kj->k", n, q)), 1)
        yield tf.sigmoid(o) * tf.reshape(top / below[:, None], (U,))


CELLS = {"slstm": (SLSTMCell, slstm), "mlstm": (MLSTMCell, mlstm)}


def make(name, heads, exponential):
    cell = CELLS[name][0](
        U,
        num_heads=heads,
        exponential_forget_gate=exponential,
        bias_initializer="random_normal",
    )
    cell.build((B, D))
    return cell


def expected(name, cell, x, mask):
    """Outputs and gradients, each sentence without its masked steps."""
    x = tf.constant(x, tf.float64)
    weights = [tf.constant(w, tf.float64) for w in cell.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch([x, *weights])
        rows = []
        for row in range(B):
            live = tf.boolean_mask(x[row], mask[row])
            outputs = iter(list(CELLS[name][1](cell, live, *weights)))
            last = tf.zeros((U,), tf.float64)
            filled = []
            for t in range(T):
                last = next(outputs) if mask[row, t] else last
                filled.append(last)
            rows.append(tf.stack(filled))
        y = tf.stack(rows)
        loss = uneven_loss(y, 2.0)
    return y, tape.gradient(loss, [x, *weights])


def actual(cell, x, mask, training):
    layer = RNN(cell, return_sequences=True)

    @tf.function(autograph=False)
    def compute(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, mask=mask, training=training)
            loss = uneven_loss(y, 2.0)
        return y, tape.gradient(loss, [x, *cell.trainable_variables])

    return compute(tf.constant(x, tf.float32))


@pytest.mark.parametrize(
    ("heads", "exponential"),
    [(3, True), thorough(3, False), thorough(1, True), thorough(1, False)],
)
@pytest.mark.parametrize("name", CELLS)
def test_equations_and_gradients(name, heads, exponential, seed):
    cell = make(name, heads, exponential)
    x = np.random.default_rng(0).normal(size=(B, T, D))
    reference = expected(name, cell, x, MASK)
    for training in (False, True):
        for a, b in zip(
            tf.nest.flatten(actual(cell, x, MASK, training)),
            tf.nest.flatten(reference),
            strict=True,
        ):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("time", [1, 64, 65, 150])
@pytest.mark.parametrize("exponential", [False, True], ids=["sigmoid", "exp"])
def test_chunks_of_time_steps_are_the_steps(time, exponential, seed):
    """From any states, and with masks that end within chunks."""
    cell = MLSTMCell(U, num_heads=2, exponential_forget_gate=exponential)
    cell.build((None, D))
    # Forget gates around 1, so that chunks depend on those before them.
    bias = np.zeros(cell.bias.shape, "float32")
    bias[-2:] = 0.0 if exponential else 3.0
    cell.bias.assign(bias)
    projected = cell.project(tf.random.normal((time, B, D), stddev=0.5))
    states = [tf.random.normal(s.shape) for s in cell.get_initial_state(B)]
    rng = np.random.default_rng(0)
    mask = rng.random((time, B)) < 0.7
    mask[64:128, 0], mask[:, 1] = False, False
    sources = [projected, *states[:-1]]  # The stabiliser has no gradient.

    def with_gradients(run):
        with tf.GradientTape() as tape:
            tape.watch(sources)
            outputs, states = run()
            results = [outputs, *states]
            loss = uneven_loss(results[:-1], 2.0)
        return *results, *tape.gradient(loss, sources)

    actual = with_gradients(lambda: cell.scan(projected, states, mask))
    by_steps = in_graph(
        lambda: recurrence(
            cell.step, projected, states, states[0], tf.constant(mask)
        )
    )
    expected = with_gradients(by_steps)
    for a, b in zip(actual, expected, strict=True):
        scale = max(1.0, float(tf.reduce_max(abs(b))))
        np.testing.assert_allclose(a / scale, b / scale, atol=1e-5)


def in_graph(function):
    return tf.function(function, autograph=False)


@pytest.mark.parametrize(
    ("exponential", "dtype"),
    [
        (True, "float32"),
        (True, "mixed_float16"),
        thorough(False, "float32"),
        thorough(False, "mixed_float16"),
    ],
)
@pytest.mark.parametrize("name", CELLS)
def test_gates_beyond_the_range_of_exp(name, exponential, dtype, seed):
    """exp(±300) is no float32; the equations are still well defined."""
    cell = make(name, 1, exponential)
    x = np.random.default_rng(1).normal(size=(B, T, D))
    # Only the input gate is driven to its extremes.
    kernel = np.zeros(cell.kernel.shape, "float32")
    kernel[:, slice(0, U) if name == "slstm" else slice(4 * U, 4 * U + 1)] = 90
    cell.kernel.assign(cell.kernel + kernel)
    if name == "mlstm":
        # Queries near to all keys: where they meet at a right angle, the
        # output is a quotient of two numbers next to zero.
        bias = cell.bias.numpy()
        bias[: 2 * U] += 5
        cell.bias.assign(bias)
    reference, _ = expected(name, cell, x, np.ones((B, T), "bool"))
    assert np.abs(x @ kernel).max() > 200
    half = type(cell).from_config(cell.get_config() | {"dtype": dtype})
    half.build((B, D))
    half.set_weights(cell.get_weights())
    y, gradients = actual(half, x, None, True)
    assert np.isfinite(y).all()
    if dtype == "float32":  # A half knows 300 to a quarter only.
        np.testing.assert_allclose(y, reference, rtol=1e-3, atol=1e-4)
    for gradient in gradients:
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_queries_that_meet_nothing(name, training):
    """Zeros, after an input gate for which exp(-m) is no float32."""
    cell = make(name, 2, False)
    cell.bias.assign(tf.zeros_like(cell.bias))
    kernel = cell.kernel.numpy()
    kernel[:, slice(0, U) if name == "slstm" else slice(4 * U, 4 * U + 2)] = 1
    cell.kernel.assign(kernel)
    x = np.zeros((B, 70, D), "float32")
    x[:, 0] = 200.0
    y, gradients = actual(cell, x, None, training)
    assert np.isfinite(y).all()
    for gradient in gradients:
        assert np.isfinite(gradient).all()
    step, _ = cell(x[:, 1], cell(x[:, 0], cell.get_initial_state(B))[1])
    np.testing.assert_allclose(step, y[:, 1], atol=1e-5)


def test_states_are_carried_in_full_precision():
    for cell in (
        SLSTMCell(U, dtype="mixed_float16"),
        MLSTMCell(U, dtype="mixed_float16"),
    ):
        h, *rest = cell.get_initial_state(B)
        assert h.dtype == "float16"
        assert {state.dtype for state in rest} == {tf.float32}
    layer = RNN(MLSTMCell(U, num_heads=2), return_state=True)
    _, h, c, n, m = layer(keras.Input((None, D)))
    assert [s.shape for s in (h, c, n, m)] == [
        (None, U),
        (None, 2, 3, 3),
        (None, 2, 3),
        (None, 2),
    ]


def test_heads_begin_by_remembering():
    for exponential, expected in ((False, [3.0, 4.5, 6.0]), (True, [0.0] * 3)):
        cell = MLSTMCell(U, num_heads=3, exponential_forget_gate=exponential)
        cell.build((None, D))
        np.testing.assert_allclose(cell.bias[-3:], expected)
        assert not cell.bias.numpy()[:-3].any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SLSTMCell(4, num_heads=3), "num_heads=3, units=4"),
        (lambda: MLSTMCell(4, num_heads=0), "num_heads=0, units=4"),
        (lambda: MLSTMCell(4, recurrent_dropout=0.1), "recurrent_dropout=0.1"),
        (
            lambda: SLSTMCell(4, num_heads=2, recurrent_dropout=0.1),
            "num_heads=2, recurrent_dropout=0.1",
        ),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
