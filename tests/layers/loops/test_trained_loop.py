"""The loop with a gradient of its own against the loop differentiated as is.

Tests `arrays.py`, `backward_loop.py`, `forward_loop.py`, `run_cell.py` and
`step_gradient.py`.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import (
    GRUCell,
    LSTMCell,
    RecurrentCell,
    SimpleRNNCell,
)
from keras_recurrent.layers.cells.recurrent_cell import plain_dot, plain_gate
from keras_recurrent.layers.loops.trained_loop import trained_loop
from keras_recurrent.layers.ops.recurrence import recurrence
from keras_recurrent.layers.ops.side_by_side import sizes_of_parts
from tests.oracles import thorough

B, T, D, U = 5, 6, 4, 3


class EveryFeature(RecurrentCell):
    """Uses all that the protocol allows, in one step.

    A counter among the states, nested projections, an output that is no
    state, products with columns and with what is no state, a weight used
    both in a product and directly, a vector, an activation without a known
    derivative.
    """

    @property
    def state_size(self):
        return [self.units, 1, self.units]

    def build(self, input_shape):
        self.kernel = self.add_kernel(input_shape[-1], 2)
        self.recurrent_kernel = self.add_recurrent_kernel(3)
        self.peephole = self.add_weight(
            shape=(self.units,), initializer="random_normal", name="peephole"
        )

    def get_initial_state(self, batch_size=None):
        floats = tf.zeros((batch_size, self.units), self.compute_dtype)
        return [floats, tf.zeros((batch_size, 1), tf.int32), floats]

    def project(self, inputs):
        projected = tf.tensordot(inputs, self.kernel, 1)
        return {"both": projected, "first": projected[..., : self.units]}

    def step(self, projected, states, dot=plain_dot, gate=plain_gate):
        h, count, c = states
        x, y = tf.split(projected["both"], 2, axis=-1)
        kernel, n = self.recurrent_kernel, self.units
        z = gate("z", tf.sigmoid, x + dot(h, kernel, slice(n)))
        y = gate("y", keras.activations.tanh, y + dot(c, kernel, slice(n)))
        candidate = dot(z * h, kernel, slice(n, 2 * n), drop=False)
        c = c + z * tf.tanh(candidate + projected["first"]) + y
        h = tf.tanh(h + dot(c, kernel, slice(2 * n, None)) + self.peephole * c)
        h = h + 0.1 * tf.reduce_sum(kernel, axis=0)[:n]
        output = h * c / (1 + tf.cast(count, h.dtype))
        return output, [h, count + 1, c]


CELLS = {
    "simple_rnn": lambda **kwargs: SimpleRNNCell(U, **kwargs),
    "simple_rnn_relu": lambda **kwargs: SimpleRNNCell(U, "relu", **kwargs),
    "lstm": lambda **kwargs: LSTMCell(U, **kwargs),
    "lstm_hard_sigmoid": lambda **kwargs: LSTMCell(
        U, recurrent_activation="hard_sigmoid", **kwargs
    ),
    "gru": lambda **kwargs: GRUCell(U, **kwargs),
    "gru_no_bias": lambda **kwargs: GRUCell(U, use_bias=False, **kwargs),
    "gru_reset_before": lambda **kwargs: GRUCell(
        U, reset_after=False, **kwargs
    ),
    "every_feature": lambda **kwargs: EveryFeature(U, **kwargs),
}
EVERY_CELL = pytest.mark.parametrize(
    "name",
    [
        name if name in ("lstm", "gru", "every_feature") else thorough(name)
        for name in CELLS
    ],
)


@pytest.fixture(autouse=True)
def seeded(seed):
    """The same weights at each run: tolerances depend on them."""


def make(name, rows=B, **kwargs):
    cell = CELLS[name](bias_initializer="random_normal", **kwargs)
    cell.build((rows, D))
    rng = np.random.default_rng(7)
    inputs = tf.constant(rng.normal(size=(T, rows, D)), tf.float32)
    states = [
        tf.constant(rng.normal(size=state.shape), state.dtype)
        if state.dtype.is_floating
        else tf.ones(state.shape, state.dtype)
        for state in cell.get_initial_state(rows)
    ]
    mask = tf.constant(rng.random((T, rows)) < 0.6)
    return cell, inputs, states, mask


def gradients_of(run, cell, inputs, states, **options):
    """Return results and gradients of a loss that looks at all of them."""
    floats = [state for state in states if state.dtype.is_floating]

    def compute(inputs, states):
        with tf.GradientTape() as tape:
            tape.watch([inputs, *floats])
            output, final = run(inputs, states)
            loss = tf.reduce_sum(tf.sin(3.0 * output))
            for state in final:
                loss += tf.reduce_sum(tf.cast(state, tf.float32) ** 2)
        sources = [inputs, *floats, *cell.trainable_variables]
        return output, final, tape.gradient(loss, sources)

    floats = states = [tf.identity(state) for state in states]
    floats = [state for state in states if state.dtype.is_floating]

    def traced(inputs, *states):
        nonlocal floats
        floats = [state for state in states if state.dtype.is_floating]
        return compute(inputs, list(states))

    return tf.function(traced, autograph=False, **options)(inputs, *states)


def assert_equal(ours, expected):
    for a, b in zip(
        tf.nest.flatten(ours), tf.nest.flatten(expected), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
@EVERY_CELL
def test_equals_the_differentiated_loop(name, jit_compile, masked):
    cell, inputs, states, mask = make(name)
    mask = mask if masked else None
    live = True if mask is None else tf.cumsum(tf.cast(mask, tf.int32)) > 0

    def ours(inputs, states):
        output, final, _ = trained_loop(
            cell, cell.project(inputs), states, mask, jit_compile=jit_compile
        )
        # Before the first live step the output is anything.
        return tf.where(
            tf.reshape(live, (-1, B, 1)) if masked else live, output, 0.0
        ), final

    def expected(inputs, states):
        output, final = recurrence(
            cell.step,
            cell.project(inputs),
            states,
            tf.zeros((B, U)),
            mask,
        )
        return output, final

    assert_equal(
        gradients_of(ours, cell, inputs, states),
        gradients_of(expected, cell, inputs, states),
    )


def with_dropout(cell, rows=B, mask=None):
    """A dropout mask, and the loop with it that TensorFlow differentiates."""
    rng = np.random.default_rng(1)
    dropped = tf.constant(rng.integers(0, 2, (rows, U)) * 2, tf.float32)

    def dot(state, kernel, columns=slice(None), drop=True):
        return plain_dot(state * dropped if drop else state, kernel, columns)

    def run(inputs, states):
        output, final = recurrence(
            lambda inputs, states: cell.step(inputs, states, dot),
            cell.project(inputs),
            states,
            tf.zeros((rows, U)),
            mask,
        )
        return output, final

    return dropped, run


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("name", ["lstm", "every_feature"])
def test_parts_of_the_batch_run_side_by_side(name, known, have_cores):
    """Of unequal size, with all that there is to cut."""
    have_cores(3)
    rows = 25
    cell, inputs, states, mask = make(name, rows)
    dropped, expected = with_dropout(cell, rows, mask)
    live = tf.cumsum(tf.cast(mask, tf.int32))[..., tf.newaxis] > 0
    sizes = sizes_of_parts(inputs)  # Eagerly there is one part.
    assert sizes == [rows]

    def ours(inputs, states):
        nonlocal sizes
        sizes = sizes_of_parts(inputs)
        output, final, _ = trained_loop(
            cell, cell.project(inputs), states, mask, dropped
        )
        return tf.where(live, output, 0.0), final

    options = {}
    if not known:
        options["input_signature"] = [
            tf.TensorSpec(
                (None, None, *x.shape[2:]) if i == 0 else (None, *x.shape[1:]),
                x.dtype,
            )
            for i, x in enumerate([inputs, *states])
        ]
    assert_equal(
        gradients_of(ours, cell, inputs, states, **options),
        gradients_of(expected, cell, inputs, states),
    )
    assert len(sizes) == 3
    assert not known or sizes == [8, 8, 9]


@EVERY_CELL
def test_last_output_alone(name):
    cell, inputs, states, _ = make(name)

    def ours(inputs, states):
        return trained_loop(
            cell, cell.project(inputs), states, return_sequences=False
        )[:2]

    def expected(inputs, states):
        return recurrence(
            cell.step,
            cell.project(inputs),
            states,
            tf.zeros((B, U)),
            return_sequences=False,
        )

    assert_equal(
        gradients_of(ours, cell, inputs, states),
        gradients_of(expected, cell, inputs, states),
    )


@EVERY_CELL
def test_recurrent_dropout(name):
    cell, inputs, states, _ = make(name)
    dropped, expected = with_dropout(cell)

    def ours(inputs, states):
        return trained_loop(
            cell, cell.project(inputs), states, dropout_mask=dropped
        )[:2]

    assert_equal(
        gradients_of(ours, cell, inputs, states),
        gradients_of(expected, cell, inputs, states),
    )


@pytest.mark.parametrize("name", ["lstm", "every_feature"])
def test_unknown_batch_size_and_length(name):
    cell, inputs, states, _ = make(name)

    def ours(inputs, states):
        return trained_loop(cell, cell.project(inputs), states)[:2]

    signature = [
        tf.TensorSpec((None, None, D)),
        *(tf.TensorSpec((None, *s.shape[1:]), s.dtype) for s in states),
    ]
    assert_equal(
        gradients_of(ours, cell, inputs, states, input_signature=signature),
        gradients_of(ours, cell, inputs, states),
    )


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
@EVERY_CELL
def test_half_precision_is_near_full_precision(name, dtype):
    cell, inputs, states, _ = make(name, dtype=dtype)
    full, _, full_states, _ = make(name)
    full.set_weights(cell.get_weights())

    class Layer(keras.Layer):
        """Calls the loop under the dtype policy, as a layer does."""

        def call(self, inputs):
            output, final, _ = trained_loop(cell, cell.project(inputs), states)
            return output, final

    layer = Layer(dtype=dtype)

    @tf.function(autograph=False)
    def gradients():
        with tf.GradientTape() as tape:
            output, _ = layer(inputs)
            loss = tf.reduce_sum(tf.cast(output, tf.float32))
        return loss, tape.gradient(loss, cell.trainable_variables)

    @tf.function(autograph=False)
    def expected():
        with tf.GradientTape() as tape:
            output, _, _ = trained_loop(full, full.project(inputs), full_states)
            loss = tf.reduce_sum(output)
        return loss, tape.gradient(loss, full.trainable_variables)

    tolerance = 0.04 if dtype == "mixed_float16" else 0.15
    for a, b in zip(
        tf.nest.flatten(gradients()), tf.nest.flatten(expected()), strict=True
    ):
        assert a.dtype == tf.float32
        scale = max(1.0, np.abs(b).max())
        np.testing.assert_allclose(a, b, atol=tolerance * scale)


def test_each_loop_has_one_product():
    """What the module promises: none per step for weight gradients."""
    cell, inputs, states, _ = make("lstm")

    @tf.function(autograph=False)
    def gradients(inputs):
        with tf.GradientTape() as tape:
            output, _, _ = trained_loop(cell, cell.project(inputs), states)
            loss = tf.reduce_sum(output)
        return tape.gradient(loss, cell.trainable_variables)

    graph = gradients.get_concrete_function(inputs).graph.as_graph_def()
    bodies = [
        function
        for function in graph.library.function
        if "body" in function.signature.name
    ]
    assert len(bodies) == 2
    for body in bodies:
        assert sum(node.op == "MatMul" for node in body.node_def) == 1


def test_gradient_of_the_gradient_is_refused():
    cell, inputs, states, _ = make("gru")

    @tf.function(autograph=False)
    def second(inputs):
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                output, _, _ = trained_loop(cell, cell.project(inputs), states)
                loss = tf.reduce_sum(output)
            first = inner.gradient(loss, inputs)
        return outer.gradient(first, inputs)

    with pytest.raises(NotImplementedError, match="plain_loops"):
        second(inputs)


def test_dot_with_what_is_no_weight_is_refused():
    class Sliced(SimpleRNNCell):
        def step(self, projected, states, dot=plain_dot, gate=plain_gate):
            h = tf.tanh(projected + dot(states[0], 2 * self.recurrent_kernel))
            return h, [h]

    cell = Sliced(U)
    cell.build((B, D))
    with pytest.raises(ValueError, match="multiplies with weights"):
        trained_loop(cell, tf.zeros((T, B, U)), [tf.zeros((B, U))])
