"""The options of the LSTM, alone and combined, against their equations."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_recurrent.layers import LSTM, RNN, LayerNormLSTMCell, LSTMCell

B, T, D, U = 3, 4, 2, 3
MASK = np.array([[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]], "bool")

options = st.fixed_dictionaries(
    {
        "peepholes": st.booleans(),
        "coupled_gates": st.booleans(),
        "projection": st.sampled_from([None, 2, 5]),
        "cell_clip": st.sampled_from([None, 0.3]),
        "zoneout_cell": st.sampled_from([0.0, 0.4]),
        "zoneout_output": st.sampled_from([0.0, 0.4]),
        "use_bias": st.booleans(),
    }
)


def reference(cell, x, states, mask, noise):
    """The equations, one after the other; `noise` says what is kept."""
    (h, c), outputs = states, [tf.zeros((B, cell.output_size))]
    n = U
    kernel = tf.concat([cell.recurrent_kernel, cell.kernel], axis=0)
    bias = cell.bias if cell.use_bias else tf.zeros(kernel.shape[1])
    names = ["f", "C", "o"] if cell.coupled_gates else ["i", "f", "C", "o"]
    w = {k: kernel[:, j * n : (j + 1) * n] for j, k in enumerate(names)}
    b = {k: bias[j * n : (j + 1) * n] for j, k in enumerate(names)}
    p = {
        k: getattr(cell, f"{name}_peephole", 0.0)
        for k, name in (("i", "input"), ("f", "forget"), ("o", "output"))
    }
    for t in range(T):
        joined = tf.concat([h, x[:, t]], axis=1)
        a = {k: joined @ w[k] + b[k] for k in names}
        f = tf.sigmoid(a["f"] + p["f"] * c)
        i = 1 - f if cell.coupled_gates else tf.sigmoid(a["i"] + p["i"] * c)
        new_c = f * c + i * tf.tanh(a["C"])
        if cell.cell_clip:
            bound = cell.cell_clip
            new_c = tf.minimum(tf.maximum(new_c, -bound), bound)
        o = tf.sigmoid(a["o"] + p["o"] * new_c)
        new_h = o * tf.tanh(new_c)
        if cell.projection:
            new_h = new_h @ cell.projection_kernel
        keep_c, keep_h = noise(t)
        new_c = keep_c * c + (1 - keep_c) * new_c
        new_h = keep_h * h + (1 - keep_h) * new_h
        live = mask[:, t, None]
        c, h = tf.where(live, new_c, c), tf.where(live, new_h, h)
        outputs.append(tf.where(live, h, outputs[-1]))
    return tf.stack(outputs[1:], axis=1), h, c


def with_gradients(run, sources):
    with tf.GradientTape() as tape:
        tape.watch([s for s in sources if not isinstance(s, tf.Variable)])
        outputs = run()
        loss = sum(tf.reduce_sum(tf.sin(2.0 * y)) for y in outputs)
    return *outputs, *tape.gradient(loss, sources, unconnected_gradients="zero")


@settings(max_examples=12, deadline=None)
@given(options=options, jit=st.booleans())
def test_equations_and_gradients(options, jit):
    keras.utils.set_random_seed(3)
    cell = LSTMCell(U, seed=5, bias_initializer="random_normal", **options)
    cell.build((B, D))
    layer = RNN(cell, return_sequences=True, return_state=True)
    x = tf.random.normal((B, T, D), stddev=2.0)
    states = [tf.random.normal((B, size)) for size in cell.state_size]
    weights = [variable.value for variable in cell.trainable_variables]
    sources = [x, *states, *weights]

    def expected(noise):
        return with_gradients(
            lambda: reference(cell, x, states, MASK, noise), sources
        )

    def actual(training):
        return with_gradients(
            lambda: layer(
                x, initial_state=states, mask=MASK, training=training
            ),
            sources,
        )

    shares = (cell.zoneout_cell, cell.zoneout_output)
    close(actual(False), expected(lambda t: shares))
    drawn = None
    if any(shares):
        before = cell.seed_generator.state.numpy()
        draw = tf.function(cell.noise, autograph=False, jit_compile=jit)
        drawn = draw((T, B), training=True)
        assert set(np.unique(drawn[0])) | set(np.unique(drawn[1])) <= {0, 1}
        cell.seed_generator.state.assign(before)
    graph = tf.function(lambda: actual(True), autograph=False, jit_compile=jit)
    close(
        graph(),
        expected(lambda t: [d[t] for d in drawn] if drawn else (0.0, 0.0)),
    )


def close(actual, expected):
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_zoneout_keeps_its_share():
    cell = LSTMCell(100, zoneout_cell=0.3, zoneout_output=0.6, seed=0)
    x, zeros = tf.random.normal((50, D)), cell.get_initial_state(50)
    old = [zeros[0] + 7.0, zeros[1] + 7.0]
    _, (h, c) = cell(x, old, training=True)
    assert np.mean(np.equal(h, 7)) == pytest.approx(0.6, abs=0.03)
    assert np.mean(np.equal(c, 7)) == pytest.approx(0.3, abs=0.03)
    _, (again, _) = cell(x, old, training=True)
    assert not np.array_equal(h == 7, again == 7)
    # Other units at each time step.
    kept = cell.noise((20, 50), training=True)[1]
    assert np.mean(np.std(kept, axis=0) > 0.2) > 0.99
    # What is expected of the output is what comes without training.
    layer = LSTM(U, zoneout_output=0.5, return_sequences=True)
    plain = LSTM(U, return_sequences=True)
    x = tf.random.normal((B, 1, D))
    plain(x), layer(x)
    layer.set_weights(plain.get_weights())
    np.testing.assert_allclose(layer(x), 0.5 * plain(x), atol=1e-6)


def test_sizes_names_and_first_values():
    layer = LSTM(U, projection=2, return_sequences=True, return_state=True)
    output, h, c = layer(tf.ones((B, T, D)))
    assert (output.shape, h.shape, c.shape) == ((B, T, 2), (B, 2), (B, U))
    assert [w.name for w in layer.weights] == [
        "kernel",
        "recurrent_kernel",
        "bias",
        "projection_kernel",
    ]
    assert layer.weights[1].shape == (2, 4 * U)
    layer = LSTM(U, peepholes=True, coupled_gates=True, forget_bias=2.5)
    layer.build((B, T, D))
    assert [w.name for w in layer.weights[3:]] == [
        "forget_gate_peephole_weights",
        "output_gate_peephole_weights",
    ]
    np.testing.assert_array_equal(layer.cell.bias, [2.5] * U + [0.0] * (2 * U))
    clone = LSTM.from_config(layer.get_config())
    assert clone.get_config() == layer.get_config()
    assert clone.cell.coupled_gates and clone.cell.forget_bias == 2.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"projection": 0}, "projection=0"),
        ({"cell_clip": -1.0}, "cell_clip=-1.0"),
        ({"zoneout_cell": 1.0}, "zoneout_cell=1.0"),
        ({"zoneout_output": -0.1}, "zoneout_output=-0.1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        LSTMCell(U, **arguments)


def test_what_layer_normalization_does_not_go_with():
    with pytest.raises(ValueError, match="peepholes"):
        LayerNormLSTMCell(U, peepholes=True)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(dtype):
    keras.utils.set_random_seed(0)
    arguments = {
        "peepholes": True,
        "projection": 2,
        "cell_clip": 1.0,
        "zoneout_cell": 0.2,
        "zoneout_output": 0.2,
    }
    full = LSTM(U, **arguments)
    half = LSTM(U, dtype=dtype, **arguments)
    x = tf.random.normal((B, T, D))
    full(x), half(x)
    half.set_weights(full.get_weights())
    np.testing.assert_allclose(tf.cast(half(x), "float32"), full(x), atol=0.03)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(half(x, training=True))
    for gradient in tape.gradient(loss, half.trainable_variables):
        assert np.isfinite(gradient).all()
