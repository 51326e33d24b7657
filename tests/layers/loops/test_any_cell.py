"""Cells that are not ours, and stacks, in our layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import RNN, GRUCell, LSTMCell, MinGRUCell
from tests.oracles import assert_close, thorough, uneven_loss

B, T, D, U = 3, 5, 4, 2
MASK = np.array([[1, 1, 1, 1, 1], [0, 1, 0, 1, 0], [0, 0, 0, 0, 0]], "bool")


@pytest.fixture
def x(seed):
    return tf.random.normal((B, T, D))


def results(layer, x, **arguments):
    """Outputs and gradients, eagerly and in a graph of unknown sizes."""

    def compute(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = tf.nest.flatten(layer(x, training=True, **arguments))
            loss = uneven_loss(outputs)
        sources = [x, *layer.trainable_variables]
        return outputs, tape.gradient(loss, sources)

    eager = compute(x)
    signature = [tf.TensorSpec((None, None, *x.shape[2:]))]
    graph = tf.function(compute, input_signature=signature, autograph=False)
    assert_close(graph(x), eager)
    return eager


KERAS_CELLS = {
    "lstm": lambda: keras.layers.LSTMCell(U),
    "gru": lambda: keras.layers.GRUCell(U),
    "simple_rnn": lambda: keras.layers.SimpleRNNCell(U),
    "list": lambda: [keras.layers.LSTMCell(U), keras.layers.GRUCell(3)],
    "stack": lambda: keras.layers.StackedRNNCells(
        [LSTMCell(U), keras.layers.LSTMCell(3), GRUCell(2), MinGRUCell(3)]
    ),
}


@pytest.mark.parametrize(
    ("name", "zeros", "mask"),
    [
        (name, True, MASK)
        if name in ("lstm", "list", "stack") and zeros and mask is not None
        else thorough(name, zeros, mask)
        for name in KERAS_CELLS
        for zeros in (False, True)
        for mask in (None, MASK)
    ],
)
def test_numbers_are_those_of_the_layer_of_keras(name, mask, zeros, x):
    cell = KERAS_CELLS[name]()
    options = {
        "return_sequences": True,
        "return_state": True,
        "zero_output_for_mask": zeros,
    }
    theirs = keras.layers.RNN(cell, **options)
    expected = results(theirs, x, mask=mask)
    ours = RNN(theirs.cell, **options)
    assert_close(results(ours, x, mask=mask), expected)
    # The states of a stack are lists of lists.
    _, *states = ours(x)
    tf.nest.assert_same_structure(states, list(theirs(x)[1:]))
    again = ours(x, initial_state=states, mask=mask)
    assert_close(again, theirs(x, initial_state=states, mask=mask))


@pytest.mark.parametrize("rates", [(0.5, 0.0), (0.0, 0.5)], ids=str)
def test_cells_of_keras_with_dropout(rates, x):
    """One mask for all time steps, another one for each call."""
    cell = keras.layers.SimpleRNNCell(
        16,
        activation="linear",
        kernel_initializer="ones",
        recurrent_initializer="identity",
        dropout=rates[0],
        recurrent_dropout=rates[1],
    )
    layer = RNN(cell, return_sequences=True)
    graph = tf.function(lambda x: layer(x, training=True), autograph=False)
    ones = tf.ones((B, T, D))
    first, second = graph(ones), graph(ones)
    assert not np.allclose(first, second)
    assert np.allclose(layer(ones)[:, 0], D)
    growth = np.diff(first, axis=1)
    if rates[0]:
        assert np.allclose(growth, growth[:, :1], atol=1e-4)
    else:
        dropped = np.isclose(growth, 0)
        assert np.array_equal(dropped[:, 1:], dropped[:, :-1])
        assert 0.2 < dropped.mean() < 0.8


@keras.saving.register_keras_serializable("test")
class Accumulator(keras.layers.Layer):
    """A cell of many kinds of states, and inputs of two kinds.

    It carries a matrix M_t = M_{t-1} + a_t·b_tᵀ, a count of steps and, under
    half precision too, a float32 sum; it puts out M_t·1 + K·1.
    """

    state_size = ((D, U), 1, 1)
    output_size = D

    def get_config(self):
        return super().get_config() | {"autocast": self.autocast}

    def get_initial_state(self, batch_size=None):
        return [
            tf.zeros((batch_size, D, U), self.compute_dtype),
            {"count": tf.zeros((batch_size,), tf.int32)},
            tf.zeros((batch_size, 1), tf.float32),
        ]

    def call(self, inputs, states, constants=None):
        matrix, count, total = states
        a, b = inputs["a"], inputs["b"]
        matrix = matrix + a[:, :, None] * b[:, None]
        total = total + tf.cast(tf.reduce_sum(a, 1, keepdims=True), "float32")
        output = tf.reduce_sum(matrix, 2)
        if constants is not None:
            output = output + tf.cast(tf.reduce_sum(constants, 1), a.dtype)
        return output, [matrix, {"count": count["count"] + 1}, total]


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_nested_inputs_structured_states_and_constants(dtype, seed, tmp_path):
    options = {"return_sequences": True, "return_state": True}
    # Keras would cast all that the cell is called with.
    cell = Accumulator(dtype=dtype, autocast=False)
    layer = RNN(cell, dtype=dtype, **options)
    rng = np.random.default_rng(0)
    # Multiples of a half are exact in half precision.
    a, b = (
        (rng.integers(-4, 5, (B, T, n)) / 2).astype("float32") for n in (D, U)
    )
    memory = rng.integers(-4, 5, (B, 6, D)).astype("float32")
    inputs = {"a": tf.constant(a), "b": tf.constant(b)}
    output, matrix, count, total = layer(inputs, mask=MASK, constants=memory)
    live = MASK[..., None]
    products = a[..., :, None] * b[..., None, :] * live[..., None]
    sums = products.cumsum(1)
    expected = sums.sum(-1) + memory.sum(1)[:, None]
    expected[1, 2], expected[1, 4] = expected[1, 1], expected[1, 3]
    seen = MASK.cumsum(1)[..., None] > 0
    assert_close(tf.cast(output, "float32"), expected * seen)
    assert_close(tf.cast(matrix, "float32"), sums[:, -1])
    assert_close(count, {"count": MASK.sum(1)})
    assert_close(total, (a * live).sum((1, 2))[:, None])
    assert total.dtype == tf.float32

    functional = {
        name: keras.Input((None, size), name=name)
        for name, size in (("a", D), ("b", U))
    }
    symbolic = layer(functional, constants=keras.Input((6, D), name="memory"))
    assert [tuple(y.shape) for y in tf.nest.flatten(symbolic)] == [
        (None, None, D),
        (None, D, U),
        (None,),
        (None, 1),
    ]
    assert symbolic[2]["count"].dtype == "int32"
    assert symbolic[3].dtype == "float32"
    model = keras.Model(functional, layer(functional)[0])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(
        tf.cast(loaded(inputs), "float32"), tf.cast(model(inputs), "float32")
    )


def test_a_cell_without_anything_but_call_and_size(x):
    class Sum:
        state_size = D

        def call(self, inputs, states):
            return states[0] + inputs, [states[0] + inputs]

    assert_close(RNN(Sum(), return_sequences=True)(x), tf.cumsum(x, axis=1))
    assert_close(RNN(Sum(), go_backwards=True)(x), tf.reduce_sum(x, axis=1))


@pytest.mark.parametrize("name", KERAS_CELLS)
def test_unrolled_and_stateful(name, x):
    cell = KERAS_CELLS[name]()
    plain = RNN(cell, return_state=True)
    expected = results(plain, x, mask=MASK)
    unrolled = RNN(plain.cell, return_state=True, unroll=True)
    assert_close(unrolled(x, mask=MASK), expected[0])
    stateful = RNN(plain.cell, return_state=True, stateful=True)
    stateful(x[:, :2], mask=MASK[:, :2])
    assert_close(stateful(x[:, 2:], mask=MASK[:, 2:])[1:], expected[0][1:])
    stateful.reset_state()
    assert_close(stateful(x, mask=MASK)[1:], expected[0][1:])


def test_gates_are_seen_in_our_cells_only(x):
    with pytest.raises(ValueError, match="RecurrentCell"):
        RNN(keras.layers.GRUCell(U)).gates(x)


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("cell_class", [LSTMCell, keras.layers.LSTMCell])
def test_cells_keep_their_policy_in_a_layer_of_another(cell_class, stacked, x):
    """The cells compute in float32 here, whatever the layer gives out."""
    cells = [cell_class(U, dtype="float32") for _ in range(1 + stacked)]
    cell = keras.layers.StackedRNNCells(cells) if stacked else cells[0]
    half = RNN(cell, return_sequences=True, dtype="mixed_float16")
    # What the layer reads is half-precision numbers.
    x = tf.cast(tf.cast(x, "float16"), "float32")
    output = tf.function(half, autograph=False)(x)
    full = keras.layers.RNN(cell, return_sequences=True)(x)
    assert output.dtype == "float16"
    np.testing.assert_array_equal(output, tf.cast(full, "float16"))
    assert_close(half(x, training=True), full, atol=1e-3)
    gradients = results(half, x, mask=tf.constant(MASK))[1]
    assert all(gradient.dtype == "float32" for gradient in gradients)
