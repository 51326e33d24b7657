"""The options of the LSTM, alone and combined, against their equations."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_recurrent.layers import LSTM, RNN, LayerNormLSTMCell, LSTMCell
from tests import oracles

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
        "dropout": st.sampled_from([0.0, 0.5]),
        "recurrent_dropout": st.sampled_from([0.0, 0.5]),
    }
)


def reference(cell, x, states, mask, noise, dropped=1.0):
    """The equations, one after the other.

    `noise` says what is kept, `dropped` is a mask for recurrent products.
    """
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
        joined = tf.concat([h * dropped, x[:, t]], axis=1)
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


assert_close = partial(oracles.assert_close, atol=2e-5)


def with_gradients(run, sources):
    with tf.GradientTape() as tape:
        tape.watch([s for s in sources if not isinstance(s, tf.Variable)])
        outputs = run()
        loss = oracles.uneven_loss(outputs, 2.0)
    return *outputs, *tape.gradient(loss, sources, unconnected_gradients="zero")


@oracles.tried(few=4, many=12)
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

    shares = (cell.zoneout_cell, cell.zoneout_output)

    def expected(drawn=None, x_mask=None, h_mask=None):
        def run():
            return reference(
                cell,
                x if x_mask is None else x * x_mask[:, None],
                states,
                MASK,
                lambda t: [d[t] for d in drawn] if drawn else shares,
                1.0 if h_mask is None else h_mask,
            )

        return with_gradients(run, sources)

    def actual(training):
        return with_gradients(
            lambda: layer(
                x, initial_state=states, mask=MASK, training=training
            ),
            sources,
        )

    def draw():
        """Draw what the layer draws, in its order."""
        masks = [cell.input_mask(B, D, True), cell.noise((T, B), True)]
        return [*masks, cell.recurrent_mask(B, True)]

    assert_close(actual(False), expected())
    before = [variable.numpy() for variable in cell.non_trainable_variables]
    x_mask, noise, h_mask = in_graph(draw, jit)()
    drawn = None
    if noise is not None:
        assert set(np.unique(noise)) <= {0, 1}
        sizes = [
            size if share else 0
            for size, share in zip((U, cell.output_size), shares, strict=True)
        ]
        # Where no unit is drawn for, none is kept.
        drawn = [
            part if part.shape[-1] else tf.zeros((T, B, 1))
            for part in tf.split(noise, sizes, axis=-1)
        ]
    for variable, value in zip(
        cell.non_trainable_variables, before, strict=True
    ):
        variable.assign(value)
    assert_close(
        in_graph(lambda: actual(True), jit)(), expected(drawn, x_mask, h_mask)
    )


def in_graph(function, jit):
    return tf.function(function, autograph=False, jit_compile=jit)


def test_peepholes_and_clipping_are_those_of_tensorflow():
    """Its kernel for whole sequences, which takes weights as we lay them."""
    keras.utils.set_random_seed(1)
    layer = LSTM(
        U,
        peepholes=True,
        cell_clip=0.3,
        bias_initializer="random_normal",
        return_sequences=True,
        return_state=True,
    )
    x, h, c = (tf.random.normal(s) for s in ((B, T, D), (B, U), (B, U)))
    outputs, _, final_c = layer(x, initial_state=[h, c])
    cell = layer.cell
    expected = tf.raw_ops.BlockLSTMV2(
        seq_len_max=tf.constant(T, tf.int64),
        x=tf.transpose(x, (1, 0, 2)),
        cs_prev=c,
        h_prev=h,
        w=tf.concat([cell.kernel, cell.recurrent_kernel], axis=0),
        wci=cell.input_peephole,
        wcf=cell.forget_peephole,
        wco=cell.output_peephole,
        b=cell.bias,
        cell_clip=0.3,
        use_peephole=True,
    )
    assert np.isclose(tf.abs(expected.cs), 0.3).any()
    assert_close(
        [tf.transpose(outputs, (1, 0, 2)), final_c],
        [expected.h, expected.cs[-1]],
    )


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
    kept = cell.noise((20, 50), training=True)
    assert kept.shape == (20, 50, 200)
    assert np.mean(np.std(kept, axis=0) > 0.2) > 0.99
    # What is expected of the output is what comes without training.
    layer = LSTM(U, zoneout_output=0.5, return_sequences=True)
    plain = LSTM(U, return_sequences=True)
    x = tf.random.normal((B, 1, D))
    plain(x), layer(x)
    layer.set_weights(plain.get_weights())
    np.testing.assert_allclose(layer(x), 0.5 * plain(x), atol=1e-6)


OPTIONS = {
    "peepholes": True,
    "coupled_gates": True,
    "projection": 2,
    "cell_clip": 0.5,
    "zoneout_cell": 0.2,
    "zoneout_output": 0.3,
}


def test_in_layers_of_keras(tmp_path):
    """With states of different sizes, at inference and in training."""
    keras.utils.set_random_seed(0)
    x = tf.random.normal((B, T, D))
    cells = [LSTMCell(U, **OPTIONS), LSTMCell(2, projection=4)]
    ours = [RNN(cell, return_sequences=True) for cell in cells]
    expected = ours[1](ours[0](x, mask=MASK), mask=MASK)
    stack = keras.layers.RNN(cells, return_sequences=True)
    np.testing.assert_allclose(stack(x, mask=MASK), expected, atol=1e-6)
    theirs = keras.layers.RNN(cells[0], return_state=True)
    both = keras.layers.Bidirectional(LSTM(U, **OPTIONS))
    inputs = keras.Input((T, D))
    model = keras.Model(inputs, [*theirs(inputs), both(inputs)])
    assert [y.shape[1] for y in model.outputs] == [2, 2, U, 4]
    expected = RNN(cells[0], return_state=True)(x)
    for a, b in zip(model(x), expected, strict=False):
        np.testing.assert_allclose(a, b, atol=1e-6)
    model.compile("sgd", ["mse"] * 4)
    history = model.fit(x, [tf.ones(y.shape) for y in model(x)], verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for a, b in zip(loaded(x), model(x), strict=True):
        np.testing.assert_array_equal(a, b)


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
    full = LSTM(U, **OPTIONS)
    half = LSTM(U, dtype=dtype, **OPTIONS)
    x = tf.random.normal((B, T, D))
    full(x), half(x)
    half.set_weights(full.get_weights())
    np.testing.assert_allclose(tf.cast(half(x), "float32"), full(x), atol=0.03)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(half(x, training=True))
    for gradient in tape.gradient(loss, half.trainable_variables):
        assert np.isfinite(gradient).all()
