"""What every layer must do, whatever it computes.

A new layer is one line in `LAYERS`; cells are found by their registry.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import (
    GRU,
    LSTM,
    RNN,
    BahdanauAttention,
    CoverageAttention,
    LocationSensitiveAttention,
    LuongAttention,
    Monotonic,
    MultiHeadAttention,
    SimpleRNN,
)
from keras_recurrent.layers.cells import CELLS
from keras_recurrent.models import Encoder
from tests import oracles

B, T, D, U = 2, 5, 3, 4


# Inputs of integers are below this.
IDS = 9


class Case(NamedTuple):
    """How to make a layer, and what to call it with."""

    make: Callable[..., keras.Layer]
    inputs: dict[str, tf.TensorSpec]
    """By argument, without the batch; the first axis is time-like."""
    mask: str | None
    """The argument that takes the mask of the input that it names."""


SEQUENCES = {"sequences": tf.TensorSpec((T, D))}


def cell_case(name: str) -> Case:
    def make(**kwargs: Any) -> keras.Layer:
        return RNN(CELLS[name](U, **kwargs), return_sequences=True)

    return Case(make, SEQUENCES, "mask")


LAYERS = {
    "lstm": Case(
        lambda **k: LSTM(U, return_state=True, **k), SEQUENCES, "mask"
    ),
    "gru": Case(lambda **k: GRU(U, go_backwards=True, **k), SEQUENCES, "mask"),
    "simple_rnn": Case(
        lambda **k: SimpleRNN(U, return_sequences=True, **k), SEQUENCES, "mask"
    ),
    "bahdanau_attention": Case(
        lambda **k: BahdanauAttention(U, **k),
        {"memory": tf.TensorSpec((T, D)), "query": tf.TensorSpec((6, 2))},
        "memory_mask",
    ),
    "bahdanau_attention_normalized": Case(
        lambda **k: BahdanauAttention(
            U, normalize=True, probability_fn="sparsemax", **k
        ),
        {"memory": tf.TensorSpec((T, D)), "query": tf.TensorSpec((6, 2))},
        "memory_mask",
    ),
    "luong_attention": Case(
        lambda **k: LuongAttention(2, scale=True, **k),
        {"memory": tf.TensorSpec((T, D)), "query": tf.TensorSpec((6, 2))},
        "memory_mask",
    ),
    "luong_attention_monotonic": Case(
        lambda **k: LuongAttention(2, probability_fn="monotonic", **k),
        {"memory": tf.TensorSpec((T, D)), "query": tf.TensorSpec((6, 2))},
        "memory_mask",
    ),
    "luong_attention_monotonic_recursive": Case(
        lambda **k: LuongAttention(
            2, probability_fn=Monotonic("recursive"), **k
        ),
        {"memory": tf.TensorSpec((T, D)), "query": tf.TensorSpec((6, 2))},
        "memory_mask",
    ),
    "location_sensitive_attention": Case(
        lambda **k: LocationSensitiveAttention(U, 2, 3, **k),
        {"memory": tf.TensorSpec((T, D)), "query": tf.TensorSpec((6, 2))},
        "memory_mask",
    ),
    "coverage_attention": Case(
        lambda **k: CoverageAttention(U, probability_fn=Monotonic(), **k),
        {"memory": tf.TensorSpec((T, D)), "query": tf.TensorSpec((6, 2))},
        "memory_mask",
    ),
    "multi_head_attention": Case(
        lambda **k: MultiHeadAttention(U, 2, **k),
        {"memory": tf.TensorSpec((T, D)), "query": tf.TensorSpec((6, 2))},
        "memory_mask",
    ),
    "encoder": Case(
        lambda **k: Encoder(IDS, D, U, num_layers=2, **k),
        {"ids": tf.TensorSpec((T,), tf.int32)},
        "mask",
    ),
    **{f"{name}_cell": cell_case(name) for name in CELLS},
}


# What differs from layer to layer is seen with all of them in `make
# test-thorough`, and with these in `make test`. There each cell is seen in the
# layer of Keras all the same, with its gradients, and made from its settings.
COMMON = {
    "lstm",
    "gru",
    "bahdanau_attention",
    "luong_attention_monotonic",
    "encoder",
    "gru_cell",
    "layer_norm_lstm_cell",
    "min_gru_cell",
}


def common_first(names: Iterable[str]) -> list[Any]:
    """Mark as thorough what is not common."""
    return [
        pytest.param(name, marks=() if name in COMMON else pytest.mark.thorough)
        for name in names
    ]


ALL_CASES = pytest.mark.parametrize("case", common_first(LAYERS), indirect=True)
# A mask is the harder case.
PLAIN_AND_MASKED = pytest.mark.parametrize(
    "masked",
    [
        pytest.param(False, id="plain", marks=pytest.mark.thorough),
        pytest.param(True, id="masked"),
    ],
)
ALL_CELLS = pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=() if f"{name}_cell" in COMMON else pytest.mark.thorough,
        )
        for name in CELLS
    ],
)


@pytest.fixture(params=LAYERS)
def case(request: pytest.FixtureRequest, seed: int) -> Case:
    return LAYERS[request.param]


def data(case: Case, masked: bool) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    arguments: dict[str, Any] = {}
    for name, spec in case.inputs.items():
        size = (B, *spec.shape)
        values = (
            rng.integers(0, IDS, size)
            if spec.dtype.is_integer
            else rng.normal(size=size)
        )
        arguments[name] = tf.constant(values, spec.dtype)
    if masked and case.mask:
        arguments[case.mask] = tf.constant(
            [[True] * T, [True, False, True, False, False]]
        )
    return arguments


def run(layer: keras.Layer, arguments: dict[str, Any], **kwargs: Any) -> Any:
    return tf.nest.flatten(layer(**arguments, **kwargs))


assert_close = partial(oracles.assert_close, rtol=1e-5)


def functional(case: Case, layer: keras.Layer, masked: bool) -> keras.Model:
    inputs = {
        name: keras.Input(
            (None, *spec.shape[1:]), name=name, dtype=spec.dtype.name
        )
        for name, spec in case.inputs.items()
    }
    if masked and case.mask:
        inputs[case.mask] = keras.Input((None,), name=case.mask, dtype="bool")
    return keras.Model(inputs, layer(**inputs))


@ALL_CASES
@PLAIN_AND_MASKED
def test_graph_and_xla_agree_with_eager(
    case: Case, masked: bool, have_cores: Callable[[int], None]
) -> None:
    # In the graph that does not know the batch, two loops side by side.
    have_cores(2)
    layer, arguments = case.make(), data(case, masked)
    expected = run(layer, arguments)
    unknown = tf.function(
        lambda arguments: run(layer, arguments),
        input_signature=[tf.nest.map_structure(unknown_sizes, arguments)],
        autograph=False,
    )
    assert_close(unknown(arguments), expected)
    for training in (False, True) if masked else (True,):
        compiled = tf.function(
            lambda arguments, training=training: run(
                layer, arguments, **takes_training(layer, training)
            ),
            jit_compile=True,
            autograph=False,
        )
        assert_close(compiled(arguments), expected)


def unknown_sizes(tensor: Any) -> tf.TensorSpec:
    return tf.TensorSpec((None, None, *tensor.shape[2:]), tensor.dtype)


def takes_training(layer: keras.Layer, training: bool) -> dict[str, bool]:
    return {"training": training} if layer._call_has_training_arg else {}


# What LiteRT has no operations for, nor has it for them in Keras's layers.
NOT_IN_LITERT = {
    "lru_cell": "complex numbers",
}


@ALL_CASES
@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_converts_to_litert(
    case: Case,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    """To its built-in operations alone, for any number of time steps.

    Where it fails, `tf.expand_dims` in place of `tf.newaxis` may help, and
    `known_shape` in place of `tf.ensure_shape`.
    """
    name = request.node.callspec.params["case"]
    if name in NOT_IN_LITERT:
        pytest.skip(f"LiteRT has no {NOT_IN_LITERT[name]}")
    # Smaller graphs, which are converted sooner.
    module = sys.modules["keras_recurrent.layers.ops.linear_scan"]
    monkeypatch.setattr(module, "_BLOCK", 2)
    model, arguments = functional(case, case.make(), True), data(case, True)
    path = tmp_path / "model.tflite"
    model.export(
        path,
        format="litert",
        target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]},
        verbose=False,
    )
    runner = tf.lite.Interpreter(str(path)).get_signature_runner()
    outputs = runner(**arguments)
    assert_close([outputs[key] for key in sorted(outputs)], model(arguments))


@ALL_CASES
@PLAIN_AND_MASKED
def test_functional_model_is_saved_and_loaded(
    case: Case, masked: bool, tmp_path: Any
) -> None:
    model = functional(case, case.make(), masked)
    arguments = data(case, masked)
    expected = model(arguments)
    for symbolic, tensor in zip(
        tf.nest.flatten(model.output), tf.nest.flatten(expected), strict=True
    ):
        assert len(symbolic.shape) == len(tensor.shape)
        for static, size in zip(symbolic.shape, tensor.shape, strict=True):
            assert static in (None, size)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(loaded(arguments), expected, 0)
    if masked:
        model.export(tmp_path / "served", verbose=False)
        served = tf.saved_model.load(tmp_path / "served")
        assert_close(served.serve(arguments), expected)


@ALL_CASES
def test_fit(case: Case) -> None:
    layer, arguments = case.make(), data(case, True)
    model = functional(case, layer, True)
    # A head, since the layer may have nothing to train.
    outputs = tf.nest.flatten(model.output)
    heads = [keras.layers.Dense(1)(y) for y in outputs if y.shape[-1]]
    model = keras.Model(model.input, heads)
    targets = [np.ones(y.shape) for y in tf.nest.flatten(model(arguments))]
    model.compile("sgd", ["mse"] * len(targets))
    before = layer.get_weights()
    # Of unknown length: compiling the loop is the matter of another test.
    batch = (arguments, tuple(targets))
    batches = tf.data.Dataset.from_generator(
        lambda: iter([batch]),
        output_signature=tf.nest.map_structure(unknown_sizes, batch),
    ).apply(tf.data.experimental.assert_cardinality(1))
    history = model.fit(batches, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    changed = [
        not np.array_equal(old, new)
        for old, new in zip(before, layer.get_weights(), strict=True)
    ]
    assert any(changed) == bool(layer.trainable_variables)


def test_config_round_trip(case: Case) -> None:
    layer = case.make(name="some_name")
    config = layer.get_config()
    assert set(arguments_of(type(layer).__init__)) <= config.keys()
    clone = type(layer).from_config(config)
    assert clone.get_config() == config
    registered = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    assert type(registered) is type(layer)
    arguments = data(case, False)
    run(layer, arguments), run(clone, arguments)
    assert [w.shape for w in clone.weights] == [w.shape for w in layer.weights]


def arguments_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The named arguments with their defaults."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self" and parameter.kind != parameter.VAR_KEYWORD
    }


@ALL_CASES
@pytest.mark.parametrize(
    "dtype", ["mixed_float16", oracles.thorough("mixed_bfloat16")]
)
def test_half_precision(case: Case, dtype: str) -> None:
    full, half = case.make(), case.make(dtype=dtype)
    arguments = data(case, True)
    expected, outputs = run(full, arguments), run(half, arguments)
    half.set_weights(full.get_weights())
    outputs = run(half, arguments)
    for output in outputs:
        assert output.dtype == dtype.removeprefix("mixed_")
    assert all(weight.dtype == "float32" for weight in half.weights)
    assert_close(outputs, expected, 0.01 if dtype == "mixed_float16" else 0.05)

    @tf.function(
        input_signature=[tf.nest.map_structure(unknown_sizes, arguments)],
        autograph=False,
    )
    def gradients(arguments: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = run(half, arguments, **takes_training(half, True))
            loss = sum(tf.reduce_sum(tf.cast(y, "float32")) for y in outputs)
        return tape.gradient(loss, half.trainable_variables)

    for gradient in gradients(arguments):
        assert gradient.dtype == tf.float32
        # That of an embedding comes by rows.
        assert np.isfinite(tf.convert_to_tensor(gradient)).all()


# What a cell does not take of the options of its base class.
NOT_TAKEN = {
    "layer_norm_lstm": {"coupled_gates", "peepholes"},
    "peephole_lstm": {"peepholes"},
}


def cells_with_options() -> Iterator[Any]:
    """Each cell as it is, and with each of its switches turned.

    `make test` turns those of one cell.
    """
    for name, cell in CELLS.items():
        yield pytest.param(name, {}, id=name)
        arguments: dict[str, Any] = {}
        for base in cell.__mro__[: cell.__mro__.index(keras.Layer)]:
            arguments = arguments_of(base.__init__) | arguments
        for option in NOT_TAKEN.get(name, ()):
            del arguments[option]
        for option, default in arguments.items():
            if isinstance(default, bool):
                turned = {option: not default}
                yield pytest.param(
                    name,
                    turned,
                    id=f"{name}-{option}",
                    marks=pytest.mark.thorough,
                )


@pytest.mark.parametrize(("name", "options"), list(cells_with_options()))
def test_cell_in_the_layer_of_keras(
    name: str, options: dict[str, bool], seed: int
) -> None:
    """Its loop and its gradient, with and without ours."""
    cell = CELLS[name](U, **options)
    for option, value in options.items():
        assert cell.get_config()[option] == value
    arguments = {"return_sequences": True, "return_state": True}
    ours = RNN(cell, **arguments)
    theirs = keras.layers.RNN(cell, **arguments)
    x = tf.random.normal((B, T, D))
    mask = tf.constant([[True] * T, [False, True, False, True, False]])
    states = [
        tf.random.normal(state.shape) if i in cell.free_states else state
        for i, state in enumerate(cell.get_initial_state(B))
    ]
    cell.build(x.shape)
    # Weights that are all different from their first values.
    for weight in cell.weights:
        weight.assign(weight + tf.random.normal(weight.shape, stddev=0.1))

    def gradients(layer: keras.Layer, training: bool) -> Any:
        @tf.function(autograph=False)
        def compute(x: Any, states: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch([x, states])
                outputs = layer(
                    x, initial_state=states, mask=mask, training=training
                )
                loss = oracles.uneven_loss(outputs)
            sources = [x, *states, *cell.trainable_variables]
            return outputs, tape.gradient(
                loss, sources, unconnected_gradients="zero"
            )

        return compute(x, states)

    assert_close(gradients(ours, True), gradients(theirs, False), 5e-5)


@ALL_CELLS
def test_cell_in_other_layers_of_keras(name: str, seed: int) -> None:
    """Stacked, and in both directions."""
    x = tf.random.normal((B, T, D))
    mask = tf.constant([[True] * T, [True] * 3 + [False] * 2])
    cells = [CELLS[name](U), CELLS[name](3)]
    stack = keras.layers.RNN(keras.layers.StackedRNNCells(cells))
    expected = RNN(cells[0], return_sequences=True)(x, mask=mask)
    expected = RNN(cells[1])(expected, mask=mask)
    assert_close(stack(x, mask=mask), expected)
    both = keras.layers.Bidirectional(RNN(CELLS[name](U)))
    outputs = both(x, mask=mask)
    expected = [
        RNN(both.forward_layer.cell)(x, mask=mask),
        RNN(both.backward_layer.cell)(
            tf.reverse_sequence(x, [5, 3], seq_axis=1), mask=mask
        ),
    ]
    assert_close(outputs, tf.concat(expected, axis=-1))


@ALL_CELLS
def test_dropout(name: str, seed: int) -> None:
    """In training only, in our layer, in Keras's and after loading."""
    rates = {"dropout": 0.5, "recurrent_dropout": 0.5}
    try:
        cell = CELLS[name](U, **rates)
    except ValueError:  # There is no recurrent product to drop from.
        cell = CELLS[name](U, dropout=0.5)
    plain = RNN(CELLS[name](U), return_sequences=True)
    x = tf.random.normal((B, T, D))
    expected = plain(x)
    cell.build(x.shape)
    seeds = cell.seed_generator.state
    for weight, value in zip(
        [w for w in cell.weights if w is not seeds], plain.weights, strict=True
    ):
        weight.assign(value)
    before = seeds.numpy()
    for layer in (
        RNN(cell, return_sequences=True),
        keras.layers.RNN(cell, return_sequences=True),
    ):
        assert_close(layer(x), expected)
        np.testing.assert_array_equal(seeds, before)
        graph = tf.function(
            lambda x, layer=layer: layer(x, training=True), autograph=False
        )
        trained = [layer(x, training=True), graph(x), graph(x)]
        for one, other in [(0, 1), (1, 2)]:
            assert not np.allclose(trained[one], trained[other], atol=1e-3)
        seeds.assign(before)
    clone = type(cell).from_config(cell.get_config())
    assert clone.get_config() == cell.get_config()


@ALL_CELLS
def test_nothing_in_nothing_out(name: str, seed: int) -> None:
    layer = RNN(CELLS[name](U), return_sequences=True, return_state=True)

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, D))], autograph=False
    )
    def graph(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=True)
            loss = tf.reduce_sum(outputs[0])
        return outputs, tape.gradient(loss, x)

    for shape in ((0, T, D), (B, 0, D)):
        x = tf.zeros(shape)
        eager = layer(x)
        (outputs, *states), gradient = graph(x)
        assert outputs.shape == eager[0].shape == (*shape[:2], U)
        assert gradient.shape == shape
        initial = layer.get_initial_state(shape[0])
        assert_close([states, list(eager[1:])], [initial, initial], 0)
