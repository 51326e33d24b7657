"""What every layer must do, whatever it computes.

A new layer is one line in `LAYERS`; cells are found by their registry.
"""

from collections.abc import Callable
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
    SimpleRNN,
)
from keras_recurrent.layers.cells import CELLS

B, T, D = 2, 5, 3


class Case(NamedTuple):
    """How to make a layer, and what to call it with."""

    make: Callable[..., keras.Layer]
    inputs: dict[str, tuple[int, ...]]
    """Shapes without the batch, by argument; the first one is time-like."""
    mask: str | None
    """The argument that takes the mask of the input that it names."""


SEQUENCES = {"sequences": (T, D)}


def cell_case(name: str) -> Case:
    def make(**kwargs: Any) -> keras.Layer:
        return RNN(CELLS[name](4, **kwargs), return_sequences=True)

    return Case(make, SEQUENCES, "mask")


LAYERS = {
    "lstm": Case(lambda **k: LSTM(4, **k), SEQUENCES, "mask"),
    "gru": Case(lambda **k: GRU(4, go_backwards=True, **k), SEQUENCES, "mask"),
    "simple_rnn": Case(
        lambda **k: SimpleRNN(4, return_sequences=True, **k), SEQUENCES, "mask"
    ),
    "bahdanau_attention": Case(
        lambda **k: BahdanauAttention(4, **k),
        {"memory": (T, D), "query": (6, 2)},
        "memory_mask",
    ),
    **{f"{name}_cell": cell_case(name) for name in CELLS},
}


@pytest.fixture(params=LAYERS)
def case(request: pytest.FixtureRequest, seed: int) -> Case:
    return LAYERS[request.param]


def data(case: Case, masked: bool) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    arguments: dict[str, Any] = {
        name: tf.constant(rng.normal(size=(B, *shape)), tf.float32)
        for name, shape in case.inputs.items()
    }
    if masked and case.mask:
        arguments[case.mask] = tf.constant(
            [[True] * T, [True, False, True, False, False]]
        )
    return arguments


def run(layer: keras.Layer, arguments: dict[str, Any], **kwargs: Any) -> Any:
    return tf.nest.flatten(layer(**arguments, **kwargs))


def assert_close(ours: Any, expected: Any, atol: float = 1e-5) -> None:
    for a, b in zip(
        tf.nest.flatten(ours), tf.nest.flatten(expected), strict=True
    ):
        np.testing.assert_allclose(
            np.asarray(a, "float32"), np.asarray(b, "float32"), atol=atol
        )


def functional(case: Case, layer: keras.Layer, masked: bool) -> keras.Model:
    inputs = {
        name: keras.Input((None, shape[-1]), name=name)
        for name, shape in case.inputs.items()
    }
    if masked and case.mask:
        inputs[case.mask] = keras.Input((None,), name=case.mask, dtype="bool")
    return keras.Model(inputs, layer(**inputs))


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
def test_graph_and_xla_agree_with_eager(case: Case, masked: bool) -> None:
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


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
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
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    assert_close(served.serve(arguments), expected)


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
    clone = type(layer).from_config(config)
    assert clone.get_config() == config
    registered = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    assert type(registered) is type(layer)
    arguments = data(case, False)
    run(layer, arguments), run(clone, arguments)
    assert [w.shape for w in clone.weights] == [w.shape for w in layer.weights]


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
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
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", CELLS)
def test_cell_in_the_layers_of_keras(name: str, seed: int) -> None:
    """The protocol of `keras.layers.RNN`, alone, stacked and both ways."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(B, T, D)).astype("float32")
    mask = np.array([[True] * T, [True] * 3 + [False] * 2])
    cell = CELLS[name](4)
    ours, theirs = RNN(cell), keras.layers.RNN(cell)
    assert_close(ours(x, mask=mask), theirs(x, mask=mask))
    stack = keras.layers.StackedRNNCells([CELLS[name](4), CELLS[name](3)])
    assert keras.layers.RNN(stack)(x, mask=mask).shape == (B, 3)
    both = keras.layers.Bidirectional(RNN(CELLS[name](4)))
    outputs = both(x, mask=mask)
    forward, backward = RNN(both.forward_layer.cell), both.backward_layer
    backward = RNN(backward.cell)
    lengths = mask.sum(1)
    reverse = np.stack(
        [
            np.concatenate([row[:n][::-1], row[n:]])
            for row, n in zip(x, lengths, strict=True)
        ]
    )
    assert_close(
        outputs,
        np.concatenate(
            [forward(x, mask=mask), backward(reverse, mask=mask)], axis=-1
        ),
    )
