"""STAR, MGU, nBRC, LEM and FastGRNN against their equations.

Tests `fast_grnn_cell.py`, `lem_cell.py`, `mgu_cell.py`, `nbrc_cell.py` and
`star_cell.py`.
"""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import (
    RNN,
    FastGRNNCell,
    LEMCell,
    MGUCell,
    NBRCCell,
    STARCell,
)
from tests.oracles import uneven_loss

B, T, D, U = 3, 5, 4, 3
MASK = np.array([[1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [1, 0, 0, 0, 0]], "bool")


def columns(weights, names):
    """The blocks of U columns by their names."""
    return dict(zip(names, tf.split(weights, len(names), axis=-1), strict=True))


def star(x, states, w):
    (h,) = states
    kernel, b = columns(w["kernel"], "kz"), columns(w["bias"], "kz")
    k = tf.sigmoid(x @ kernel["k"] + h @ w["recurrent_kernel"] + b["k"])
    z = tf.tanh(x @ kernel["z"] + b["z"])
    return [tf.tanh((1 - k) * h + k * z)]


def mgu(x, states, w):
    (h,) = states
    kernel, b = columns(w["kernel"], "fh"), columns(w["bias"], "fh")
    u = columns(w["recurrent_kernel"], "fh")
    f = tf.sigmoid(x @ kernel["f"] + h @ u["f"] + b["f"])
    candidate = tf.tanh(x @ kernel["h"] + (f * h) @ u["h"] + b["h"])
    return [(1 - f) * h + f * candidate]


def nbrc(x, states, w):
    (h,) = states
    kernel, b = columns(w["kernel"], "cah"), columns(w["bias"], "cah")
    u = columns(w["recurrent_kernel"], "ca")
    c = tf.sigmoid(x @ kernel["c"] + h @ u["c"] + b["c"])
    a = 1 + tf.tanh(x @ kernel["a"] + h @ u["a"] + b["a"])
    return [c * h + (1 - c) * tf.tanh(x @ kernel["h"] + a * h + b["h"])]


def lem(x, states, w):
    y, z = states
    kernel, b = columns(w["kernel"], "12zy"), columns(w["bias"], "12zy")
    u = columns(w["recurrent_kernel"], "12z")
    long = {k: x @ kernel[k] + y @ u[k] + b[k] for k in "12z"}
    step_z, step_y = (0.5 * tf.sigmoid(long[k]) for k in "12")
    z = (1 - step_z) * z + step_z * tf.tanh(long["z"])
    new_y = tf.tanh(x @ kernel["y"] + z @ w["slow_kernel"] + b["y"])
    return [(1 - step_y) * y + step_y * new_y, z]


def fast_grnn(x, states, w):
    (h,) = states
    kernel, recurrent = (
        w[name] @ w[f"{name}_2"] if f"{name}_2" in w else w[name]
        for name in ("kernel", "recurrent_kernel")
    )
    b = columns(w["bias"], "zh")
    s = x @ kernel + h @ recurrent
    z, candidate = tf.sigmoid(s + b["z"]), tf.tanh(s + b["h"])
    zeta, nu = tf.sigmoid(w["zeta"]), tf.sigmoid(w["nu"])
    return [(zeta * (1 - z) + nu) * candidate + z * h]


CASES = {
    "star": (STARCell, {}, star),
    "mgu": (MGUCell, {}, mgu),
    "nbrc": (NBRCCell, {}, nbrc),
    "lem": (LEMCell, {"time_step": 0.5}, lem),
    "fast_grnn": (FastGRNNCell, {}, fast_grnn),
    "fast_grnn_of_low_rank": (
        FastGRNNCell,
        {"kernel_rank": 2, "recurrent_rank": 1},
        fast_grnn,
    ),
}


def reference(step, x, states, weights):
    """Step by step in float64, with the gradients of TensorFlow."""
    x, *states = (tf.constant(a, tf.float64) for a in (x, *states))
    weights = {k: tf.constant(w, tf.float64) for k, w in weights.items()}
    sources = [x, *states, *weights.values()]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        outputs = [tf.zeros((B, U), tf.float64)]
        for t in range(T):
            live = MASK[:, t, None]
            new_states = step(x[:, t], states, weights)
            states = [
                tf.where(live, new, old)
                for new, old in zip(new_states, states, strict=True)
            ]
            outputs.append(tf.where(live, states[0], outputs[-1]))
        results = [tf.stack(outputs[1:], axis=1), *states]
        loss = uneven_loss(results, 2.0)
    return results, tape.gradient(loss, sources)


@pytest.mark.parametrize("name", CASES)
def test_equations_and_gradients(name, seed):
    make, arguments, step = CASES[name]
    rng = np.random.default_rng(0)
    cell = make(U, **arguments)
    cell.build((B, D))
    # Weights that are all different from their first values.
    cell.set_weights([w + rng.normal(size=w.shape) for w in cell.get_weights()])
    x = rng.normal(size=(B, T, D))
    states = [rng.normal(size=s.shape) for s in cell.get_initial_state(B)]
    layer = RNN(cell, return_sequences=True, return_state=True)

    def compute(training):
        sources = [tf.constant(a, tf.float32) for a in (x, *states)]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            results = layer(
                sources[0],
                initial_state=sources[1:],
                mask=MASK,
                training=training,
            )
            loss = uneven_loss(results, 2.0)
        return results, tape.gradient(
            loss, [*sources, *cell.trainable_variables]
        )

    weights = {weight.name: weight.numpy() for weight in cell.weights}
    expected = tf.nest.flatten(reference(step, x, states, weights))
    for actual in (
        compute(training=False),
        tf.function(compute, autograph=False)(training=True),
    ):
        actual = tf.nest.flatten(tuple(actual))
        for a, b in zip(actual, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


def test_one_bit_is_kept_for_a_thousand_steps(seed):
    """With feedback above 1, though the update gate keeps a half only."""
    cell = NBRCCell(1, kernel_initializer="ones", recurrent_initializer="zeros")
    x = np.zeros((2, 1000, 1), "float32")
    x[:, 0, 0] = [3.0, -3.0]
    cell.build((2, 1))
    cell.kernel.assign([[0.0, 0.0, 1.0]])
    for feedback, kept in ((1.0, 0.9), (-1.0, 0.0)):
        cell.bias.assign([0.0, feedback, 0.0])
        y = RNN(cell)(x)
        np.testing.assert_allclose(tf.abs(y), kept, atol=0.1)
        np.testing.assert_array_equal(tf.sign(y[:, 0]), [kept > 0, -(kept > 0)])


def test_short_time_steps_change_little(seed):
    x = tf.random.normal((B, T, D))
    for time_step in (1e-2, 1e-3):
        y, z = LEMCell(U, time_step=time_step)(
            x[:, 0], [tf.ones((B, U)), tf.ones((B, U))]
        )[1]
        assert 0 < tf.reduce_max(abs(y - 1)) <= 2 * time_step
        assert 0 < tf.reduce_max(abs(z - 1)) <= 2 * time_step


def test_number_of_weights():
    counts = {}
    for name, (make, arguments, _) in CASES.items():
        cell = make(U, **arguments)
        cell.build((None, D))
        counts[name] = cell.count_params()
    assert counts == {
        "star": 2 * D * U + U * U + 2 * U,
        "mgu": 2 * D * U + 2 * U * U + 2 * U,
        "nbrc": 3 * D * U + 2 * U * U + 3 * U,
        "lem": 4 * D * U + 4 * U * U + 4 * U,
        "fast_grnn": D * U + U * U + 2 * U + 2,
        "fast_grnn_of_low_rank": 2 * (D + U) + 2 * U + 2 * U + 2,
    }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LEMCell(3, time_step=0.0), "time_step=0.0"),
        (lambda: LEMCell(3, time_step=1.5), "time_step=1.5"),
        (lambda: FastGRNNCell(3, kernel_rank=0), "kernel_rank=0"),
        (lambda: FastGRNNCell(3, recurrent_rank=-1), "recurrent_rank=-1"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
