"""The attention cell against its equations, in NumPy.

Tests `loops/attention_run.py` and `loops/attention_step.py`.
"""

import itertools
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import (
    AttentionCell,
    AttentionState,
    BahdanauAttention,
    CoverageAttention,
    GRUCell,
    LayerNormLSTMCell,
    LocationSensitiveAttention,
    LSTMCell,
    LuongAttention,
    Monotonic,
    MultiHeadAttention,
    NASCell,
    SimpleRNNCell,
)
from tests.oracles import thorough, uneven_loss

B, T, S, D, M, U, N = 3, 4, 5, 2, 3, 4, 6
QUERIES = ["previous_state", "new_state"]


def build(
    query, input_feeding, cells=None, attention=None, dtype=None, **options
):
    if cells is None:
        cells = [SimpleRNNCell(U, dtype=dtype), SimpleRNNCell(U, dtype=dtype)]
    cell = AttentionCell(
        cells,
        attention or BahdanauAttention(5, dtype=dtype),
        **{"units": N, "dtype": dtype} | options,
        query=query,
        input_feeding=input_feeding,
    )
    shape = (None, None, M)
    several = len(cell.attentions) > 1
    cell.build((None, D), [shape] * len(cell.attentions) if several else shape)
    return cell


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(B, T, D)).astype("float32")
    memory = rng.normal(size=(B, S, M)).astype("float32")
    states = rng.normal(size=(2, B, U)).astype("float32")
    mask = np.arange(S) < np.array([[S], [2], [1]])
    return x, memory, states, mask


def attend(query, memory, mask, w_query, w_memory, v):
    scores = np.tanh((query @ w_query)[:, None] + memory @ w_memory) @ v[:, 0]
    weights = np.where(mask, np.exp(scores), 0)
    alignments = weights / weights.sum(1, keepdims=True)
    return np.einsum("bs,bsm->bm", alignments, memory), alignments


def reference(cell, x, memory, states, mask):
    """The equations of the docstring, for a stack of two simple cells."""

    def look(query):
        found = [
            attend(query, memory, mask, *attention.get_weights())
            for attention in cell.attentions
        ]
        contexts, looks = zip(*found, strict=True)
        return np.concatenate(contexts, axis=1), looks

    states, y = list(states), np.zeros((B, cell.attention_size))
    conditional = cell.query == "conditional"
    s = states[0] + states[1] if cell.residual else states[1]
    outputs, looks = [], []
    for t in range(T):
        parts = [x[:, t]]
        if cell.query == "previous_state":
            context, looked = look(s)
            parts.append(context)
        if cell.input_feeding:
            parts.append(y)
        s = np.concatenate(parts, axis=1)
        for number, simple in enumerate(cell.cells):
            kernel, recurrent, bias = simple.get_weights()
            before = states[number]
            if conditional:  # there is one state, the one that was last
                before = s if number else states[1]
            if conditional and number:
                context, looked = look(s)
                s = context
            below = s
            s = np.tanh(s @ kernel + before @ recurrent + bias)
            states[number] = s
            if cell.residual and number and not conditional:
                s = s + below
        if cell.query == "new_state":
            context, looked = look(s)
        y = context
        if cell.units:
            w = np.asarray(cell.output_kernel)
            if cell.projects_memory:
                w = np.concatenate([cell.context_kernel, w])
            y = np.concatenate([context, s], axis=1) @ w
            y = np.asarray(cell.activation(y))
        outputs.append(y if cell.output_attention else s)
        looks.append(looked)
    return np.stack(outputs, 1), np.stack(looks, 2)  # looks: (1 or 2, B, T, S)


PLAIN = [
    {"query": query, "input_feeding": feeding}
    for query, feeding in itertools.product(
        [*QUERIES, "conditional"], [False, True]
    )
]
OPTIONS = [
    {"activation": None, "residual": True},
    {"units": None, "residual": True},
    {"output_attention": False},
    {"attention": lambda: [BahdanauAttention(5), BahdanauAttention(3)]},
    {
        "attention": lambda: [BahdanauAttention(5), BahdanauAttention(3)],
        "units": None,
        "output_attention": False,
    },
]


def named(options):
    make = options.get("attention")
    return options | ({"attention": make()} if make else {})


@pytest.mark.parametrize(
    "options",
    [
        *PLAIN,
        *(
            {"query": "new_state", "input_feeding": True} | options
            for options in OPTIONS
        ),
        *(
            thorough({"query": "previous_state", "input_feeding": True} | more)
            for more in OPTIONS
        ),
        {"query": "conditional", "input_feeding": True} | OPTIONS[3],
        *(
            thorough({"query": "conditional", "input_feeding": True} | more)
            for more in OPTIONS
        ),
        {"query": "new_state", "input_feeding": False, "residual": True},
        {"query": "new_state", "input_feeding": False, "units": None},
    ],
)
def test_equations(options, seed):
    cell = build(**named(options))
    several = len(cell.attentions) > 1
    x, memory, states, mask = data()
    expected = reference(cell, x, memory, states, mask)
    if several:
        prepared = cell.prepare_memory([memory] * 2, [mask] * 2)
    else:
        prepared = cell.prepare_memory(memory, mask)
    start = cell.get_initial_state(prepared, [[state] for state in states])
    for training in (False, True):
        run = tf.function(cell.run, autograph=False)
        outputs, looks = run(tf.constant(x), start, prepared, training=training)
        np.testing.assert_allclose(outputs, expected[0], atol=1e-5)
        looks = looks if several else [looks]
        np.testing.assert_allclose(np.stack(looks), expected[1], atol=1e-5)
    # Step by step.
    state = start
    for t in range(T):
        output, looks, state = cell(x[:, t], state, prepared)
        np.testing.assert_allclose(output, expected[0][:, t], atol=1e-5)
        looks = looks if several else [looks]
        np.testing.assert_allclose(
            np.stack(looks), expected[1][:, :, t], atol=1e-5
        )
        if cell.output_attention:
            np.testing.assert_array_equal(state.attention, output)


STACKS = {
    "lstm_and_gru": lambda: [LSTMCell(U), GRUCell(U)],
    # These project by more than one product.
    "layer_norm": lambda: [LayerNormLSTMCell(U), GRUCell(U)],
    # This one puts out its second state.
    "nas": lambda: [NASCell(U)],
}
# Each with its own choice of cells and of other options.
OTHERS = {
    None: {"cells": STACKS["lstm_and_gru"]},
    "layer_norm": {"cells": STACKS["layer_norm"]},
    "nas": {"cells": STACKS["nas"]},
    "luong": {"attention": lambda: LuongAttention(U, scale=True)},
    "multi_head": {"attention": lambda: MultiHeadAttention(8, 2)},
    "location": {"attention": lambda: LocationSensitiveAttention(5, 2, 3)},
    "coverage": {"attention": lambda: CoverageAttention(5)},
    "monotonic": {
        "attention": lambda: BahdanauAttention(5, probability_fn="monotonic")
    },
    "monotonic_location": {
        "attention": lambda: LocationSensitiveAttention(
            5, 2, 3, probability_fn=Monotonic("recursive")
        ),
    },
    "residual": {
        "cells": STACKS["lstm_and_gru"],
        "residual": True,
        "activation": None,
    },
    "bare": {"units": None, "output_attention": False},
}
OTHERS_THAN_PLAIN = [*OTHERS][1:]
# Two cells that go on from the state of one another, and some above them.
CONDITIONAL = {
    "gru": {"cells": lambda: [GRUCell(U), GRUCell(U)]},
    "lstm": {"cells": lambda: [LSTMCell(U), LSTMCell(U)]},
    "nas": {"cells": lambda: [NASCell(U), NASCell(U)]},
    "layer_norm": {
        "cells": lambda: [LayerNormLSTMCell(U), LayerNormLSTMCell(U)]
    },
    "stack": {
        "cells": lambda: [GRUCell(U), GRUCell(U), LSTMCell(U), GRUCell(U)],
        "residual": True,
    },
    "coverage": {
        "cells": lambda: [GRUCell(U), GRUCell(U)],
        "attention": lambda: CoverageAttention(5),
    },
}
OTHERS |= {f"conditional {name}": o for name, o in CONDITIONAL.items()}


RUNS = [
    ("new_state", False, None, True),
    ("new_state", True, None, False),
    ("previous_state", False, None, False),
    ("previous_state", True, None, True),
    ("new_state", True, "layer_norm", True),
    ("new_state", False, "monotonic_location", True),
    ("previous_state", True, "luong", False),
    ("conditional", False, "conditional gru", False),
    ("conditional", True, "conditional stack", True),
]
RUNS += [
    thorough(*run)
    for run in (
        *itertools.product(QUERIES, [False, True], [None], [True, False]),
        *itertools.product(["new_state"], [True], OTHERS_THAN_PLAIN, [True]),
        *itertools.product(
            ["previous_state"], [True], OTHERS_THAN_PLAIN, [False]
        ),
        *itertools.product(
            ["conditional"],
            [False, True],
            [f"conditional {name}" for name in CONDITIONAL],
            [False, True],
        ),
    )
    if run not in RUNS
]


@pytest.mark.parametrize(("query", "input_feeding", "other", "known"), RUNS)
def test_gradients_of_a_run_are_those_of_the_steps(
    query, input_feeding, other, known, seed, have_cores
):
    """With sizes known to the graph the loops are compiled.

    With sizes unknown, there are two loops side by side.
    """
    have_cores(2)
    options = {"cells": lambda: [GRUCell(U)]} | OTHERS[other]
    for part in ("cells", "attention"):
        if part in options:
            options[part] = options[part]()
    cell = build(query, input_feeding, **options)
    x, memory, states, mask = map(tf.constant, data())
    cells = [
        [states[i] for i in range(len(own.get_initial_state(1)))]
        for own in cell.cells
    ]

    def by_steps(x, start, prepared):
        outputs, looks, state = [], [], start
        for t in range(T):
            output, look, state = cell(x[:, t], state, prepared)
            outputs.append(output)
            looks.append(look)
        return tf.stack(outputs, 1), tf.stack(looks, 1)

    def at_once(x, start, prepared):
        return cell.run(x, start, prepared, training=True)

    def gradients(compute, x, memory):
        with tf.GradientTape() as tape:
            tape.watch([x, memory])
            prepared = cell.prepare_memory(memory, mask)
            y, looks = compute(
                x, cell.get_initial_state(prepared, cells), prepared
            )
            loss = uneven_loss(y) + uneven_loss(looks, 5.0)
        sources = [x, memory, *cell.trainable_variables]
        return y, looks, *tape.gradient(loss, sources)

    sizes = (B, T, S) if known else (None, None, None)
    in_graph = tf.function(
        partial(gradients, at_once),
        input_signature=[
            tf.TensorSpec((sizes[0], sizes[1], D)),
            tf.TensorSpec((sizes[0], sizes[2], M)),
        ],
        autograph=False,
    )
    for a, b in zip(
        in_graph(x, memory), gradients(by_steps, x, memory), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("query", QUERIES)
def test_zoneout_is_drawn_for_each_step(query, seed):
    units = 50
    zoned = LSTMCell(units, zoneout_output=0.5, bias_initializer="ones")
    cell = build(query, True, [zoned])
    x, memory, *_ = map(tf.constant, data())
    prepared = cell.prepare_memory(memory)

    @tf.function(autograph=False)
    def traced():
        state, kept = cell.get_initial_state(prepared), []
        for t in range(T):
            before = state.cells[0][0]
            _, _, state = cell(x[:, t], state, prepared, training=True)
            kept.append(state.cells[0][0] == before)
        start = cell.get_initial_state(prepared)
        run = cell.run(x, start, prepared, training=True)
        return tf.stack(kept), run[0]

    kept, output = traced()
    assert 0.35 < np.mean(kept) < 0.65
    assert not np.array_equal(kept[1], kept[2])
    assert not np.allclose(output, traced()[1])


@pytest.mark.parametrize("query", QUERIES)
def test_rows_of_a_beam_share_the_memory_of_their_sentence(query, seed):
    cell = build(query, True)
    rng = np.random.default_rng(1)
    _, memory, _, mask = data()
    width = 3
    x = rng.normal(size=(B * width, D)).astype("float32")
    states = rng.normal(size=(2, B * width, U)).astype("float32")
    prepared = cell.prepare_memory(memory, mask)
    state = cell.get_initial_state(prepared, [[s] for s in states])
    shared = cell(x, state, prepared)
    copied = cell(
        x,
        state,
        cell.prepare_memory(
            np.repeat(memory, width, 0), np.repeat(mask, width, 0)
        ),
    )
    for a, b in zip(
        tf.nest.flatten(shared), tf.nest.flatten(copied), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_initial_state_is_zeros(seed):
    cell = build("new_state", True, [LSTMCell(U), GRUCell(U)])
    state = cell.get_initial_state(cell.prepare_memory(tf.ones((B, S, M))))
    assert isinstance(state, AttentionState)
    assert [len(states) for states in state.cells] == [2, 1]
    for tensor in tf.nest.flatten(state):
        assert not tensor.numpy().any()


@pytest.mark.parametrize("query", QUERIES)
def test_a_sentence_has_one_dropout_mask(query, seed):
    """With the same inputs at each step and no memory, steps differ if
    masks do."""
    still = {"recurrent_initializer": "zeros", "activation": "linear"}
    cell = build(query, False, [SimpleRNNCell(U, dropout=0.5, **still)])
    memory = cell.prepare_memory(tf.zeros((40, S, M)))
    x = tf.ones((40, T, D))

    @tf.function(autograph=False)
    def run(training):
        start = cell.get_initial_state(memory)
        return cell.run(x, start, memory, training)[0]

    trained, plain = run(True).numpy(), run(False).numpy()
    np.testing.assert_allclose(trained, trained[:, :1] + 0 * trained)
    assert len(np.unique(trained[:, 0].round(5), axis=0)) > 1
    assert len(np.unique(plain[:, 0].round(5), axis=0)) == 1


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("dtype", ["mixed_float16", thorough("mixed_bfloat16")])
def test_half_precision_is_near_full_precision(dtype, query, seed):
    half, full = build(query, True, dtype=dtype), build(query, True)
    full.set_weights(half.get_weights())
    x, memory, _, mask = data()

    class Layer(keras.Layer):
        """Runs the cell under the dtype policy, as a decoder does."""

        def __init__(self, cell):
            super().__init__(dtype=cell.dtype_policy)
            self.cell = cell

        def call(self, x, memory):
            prepared = self.cell.prepare_memory(memory, mask)
            start = self.cell.get_initial_state(prepared)
            return self.cell.run(x, start, prepared, training=True)

    outputs, expected = (
        tf.function(Layer(cell), autograph=False)(x, memory)
        for cell in (half, full)
    )
    for a, b in zip(outputs, expected, strict=True):
        assert a.dtype == half.compute_dtype
        np.testing.assert_allclose(tf.cast(a, "float32"), b, atol=0.03)
    # A single step needs no layer around it.
    prepared = half.prepare_memory(memory, mask)
    output, _, _ = half(x[:, 0], half.get_initial_state(prepared), prepared)
    np.testing.assert_allclose(
        tf.cast(output, "float32"), expected[0][:, 0], atol=0.03
    )


def test_config_round_trip(seed):
    cell = build("new_state", True, [LSTMCell(U), GRUCell(U)])
    clone = AttentionCell.from_config(cell.get_config())
    assert clone.get_config() == cell.get_config()
    # The cells and the attention in it are built; the rest is not.
    clone.build((None, D), (None, None, M))
    clone.set_weights(cell.get_weights())
    x, memory, _, _ = data()
    prepared = cell.prepare_memory(memory), clone.prepare_memory(memory)
    ours, theirs = (
        one(x[:, 0], one.get_initial_state(its), its)[0]
        for one, its in zip((cell, clone), prepared, strict=True)
    )
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("query", QUERIES)
def test_noise_of_attention_is_drawn_for_each_step(query, seed):
    attention = BahdanauAttention(
        5, probability_fn=Monotonic(sigmoid_noise=3.0)
    )
    # Nothing but noise tells the sentences apart.
    cell = build(query, True, attention=attention)
    prepared = cell.prepare_memory(tf.ones((16, S, M)))
    start = cell.get_initial_state(prepared)
    run = tf.function(cell.run, autograph=False)
    x = tf.ones((16, T, D))
    quiet, noisy = (
        run(x, start, prepared, training=training)[1].numpy()
        for training in (False, True)
    )
    np.testing.assert_allclose(quiet, quiet[:1] + 0 * quiet, atol=1e-6)
    for t in range(T):
        assert len(np.unique(noisy[:, t].round(3), axis=0)) == 16


def test_two_memories_of_different_length_and_size(seed):
    attentions = [BahdanauAttention(5), LuongAttention(U)]
    cell = AttentionCell(GRUCell(U), attentions, N)
    cell.build((None, D), [(None, None, M), (None, None, 2)])
    prepared = cell.prepare_memory([tf.ones((B, S, M)), tf.ones((B, 9, 2))])
    start = cell.get_initial_state(prepared)
    outputs, looks = cell.run(tf.ones((B, T, D)), start, prepared)
    assert outputs.shape == (B, T, N)
    assert [look.shape for look in looks] == [(B, T, S), (B, T, 9)]
    clone = AttentionCell.from_config(cell.get_config())
    assert clone.get_config() == cell.get_config()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"query": "sideways"}, "query='sideways'"),
        ({"output_attention": False}, "units=6"),
        (
            {
                "output_attention": False,
                "units": None,
                "query": "new_state",
            },
            "query='new_state'",
        ),
        ({"cells": [GRUCell(U), GRUCell(3)], "residual": True}, r"\[4, 3\]"),
    ],
)
def test_bad_arguments(options, message):
    arguments = {
        "cells": GRUCell(U),
        "attention": BahdanauAttention(5),
        "units": N,
    }
    with pytest.raises(ValueError, match=message):
        AttentionCell(**arguments | options)


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
@pytest.mark.parametrize("query", QUERIES)
def test_converts_to_litert(query, seed):
    """A whole run, by built-in operations, for any lengths."""
    cell = build(query, query == "previous_state")
    x, memory, states, mask = data()

    def run(x, memory, mask, states):
        prepared = cell.prepare_memory(memory, mask)
        cells = [[state] for state in tf.unstack(states)]
        return cell.run(x, cell.get_initial_state(prepared, cells), prepared)

    weights = tf.Module()
    weights.all = [weight.value for weight in cell.weights]
    graph = tf.function(run, autograph=False).get_concrete_function(
        x=tf.TensorSpec((B, None, D)),
        memory=tf.TensorSpec((B, None, M)),
        mask=tf.TensorSpec((B, None), tf.bool),
        states=tf.TensorSpec((2, B, U)),
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [graph], weights
    )
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    found = interpreter.get_signature_runner()(
        x=x, memory=memory, mask=mask, states=states
    )
    outputs, looks = reference(cell, x, memory, states, mask)
    np.testing.assert_allclose(found["output_0"], outputs, atol=1e-5)
    np.testing.assert_allclose(found["output_1"], looks[0], atol=1e-5)


def test_what_cannot_build_itself_says_what_to_call():
    def make():
        return AttentionCell(GRUCell(4), BahdanauAttention(4), None)

    built, fresh = make(), make()
    built.build((None, 3), (None, None, 5))
    memory = built.prepare_memory(tf.ones((2, 6, 5)))
    state = built.get_initial_state(memory)
    inputs = tf.ones((2, 3))
    message = "`AttentionCell` is not built.*`build.input_shape, memory_shape"
    for use in (
        lambda: fresh(inputs, state, memory),
        lambda: fresh.run(inputs[:, tf.newaxis], state, memory),
        lambda: fresh.prepare_memory(tf.ones((2, 6, 5))),
        lambda: fresh.get_initial_state(memory),
        lambda: fresh.project_inputs(inputs),
    ):
        with pytest.raises(ValueError, match=message):
            use()


@pytest.mark.parametrize("residual", [False, True])
def test_the_query_is_the_output_of_the_stack_before(residual):
    cell = AttentionCell(
        [GRUCell(U), LSTMCell(U)],
        BahdanauAttention(5),
        units=None,
        residual=residual,
    )
    cell.build((None, D), (None, None, M))
    rng = np.random.default_rng(0)
    below, above, c = rng.normal(size=(3, 2, U))
    state = AttentionState([[below], [above, c]], None, [[]])
    expected = below + above if residual else above
    np.testing.assert_allclose(cell.query_of(state), expected)
