"""Weights from and to torch, against numbers that torch computed.

Tests `torch_module.py`.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import GRU, LSTM, RNN, SimpleRNN, convert
from keras_recurrent.layers.cells import JANETCell
from tests.oracles import GOLDEN

NAMES = [
    "gru_bidirectional",
    "gru_no_bias",
    "lstm",
    "lstm_bidirectional",
    "lstm_no_bias",
    "lstm_projected",
    "rnn_relu",
    "rnn_tanh",
]
D, U = 4, 6


def golden_of(name):
    with np.load(GOLDEN / f"torch_{name}.npz") as file:
        return dict(file)


def options_of(name):
    return {"activation": "relu"} if "relu" in name else {}


def state_dict_of(golden, prefix=""):
    return {
        prefix + key.removeprefix("w/"): golden[key]
        for key in golden
        if key.startswith("w/")
    }


def run(layers, x, mask=None):
    """Outputs and final states as torch gives them: y, h and, of LSTMs, c."""
    states = []
    for layer in layers:
        x, *new_states = layer(x, mask=mask)
        ways = 2 if isinstance(layer, keras.layers.Bidirectional) else 1
        each = len(new_states) // ways
        states += [new_states[way * each :][:each] for way in range(ways)]
    return [x, *(tf.stack(state) for state in zip(*states, strict=True))]


@pytest.mark.parametrize("name", NAMES)
def test_golden_values(name):
    golden = golden_of(name)
    layers = convert.from_torch(
        state_dict_of(golden), return_state=True, **options_of(name)
    )
    x, lengths = golden["x"], golden["lengths"]
    real = np.arange(x.shape[1]) < lengths[:, np.newaxis]
    for suffix, mask in (("", None), ("_packed", real)):
        y, *states = run(layers, x, mask)
        if mask is not None:
            # Torch puts out zeros there.
            y = y * mask[..., np.newaxis]
        np.testing.assert_allclose(y, golden[f"y{suffix}"], atol=1e-5)
        for key, state in zip("hc"[: len(states)], states, strict=True):
            expected = golden[f"{key}{suffix}"]
            np.testing.assert_allclose(state, expected, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_to_torch_and_back(name):
    golden = golden_of(name)
    weights = state_dict_of(golden, "rnn.")
    layers = convert.from_torch(weights, "rnn.", **options_of(name))
    back = convert.to_torch(layers, "rnn.")
    assert back.keys() == weights.keys()
    for key, array in back.items():
        assert array.shape == weights[key].shape
        expected = weights[key]
        if "bias" in key and "gru" not in name:
            # There is only their sum.
            other = key.replace("_ih_", "_hh_")
            expected = 0 * expected if key == other else expected
            if key != other:
                expected = expected + weights[other]
        np.testing.assert_allclose(array, expected, atol=1e-6)
    again = convert.from_torch(back, "rnn.", **options_of(name))
    for a, b in zip(layers, again, strict=True):
        for x, y in zip(a.get_weights(), b.get_weights(), strict=True):
            np.testing.assert_array_equal(x, y)


def test_a_module_inside_another_in_a_model_saved_and_loaded(tmp_path):
    golden = golden_of("gru_bidirectional")
    state_dict = {
        "embedding.weight": np.zeros((3, 3)),
        **state_dict_of(golden, "encoder.rnn."),
        "encoder.rnn_norm.weight": np.zeros(3),
    }
    layers = convert.from_torch(state_dict, prefix="encoder.rnn.")
    model = keras.Sequential([keras.Input((None, D)), *layers])
    np.testing.assert_allclose(model(golden["x"]), golden["y"], atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(golden["x"]), model(golden["x"]))


def test_numbers_of_other_types():
    golden = golden_of("lstm")
    weights = state_dict_of(golden)
    as_lists = {name: array.tolist() for name, array in weights.items()}
    (layer,) = convert.from_torch(as_lists)
    assert isinstance(layer, LSTM)
    assert layer.weights[0].dtype == "float32"
    np.testing.assert_allclose(layer(golden["x"]), golden["y"], atol=1e-5)


def state_dict(rows=4 * U, **changes):
    shapes = {
        "weight_ih_l0": (rows, D),
        "weight_hh_l0": (rows, U),
        "bias_ih_l0": (rows,),
        "bias_hh_l0": (rows,),
    } | changes
    return {
        name: np.zeros(shape)
        for name, shape in shapes.items()
        if shape is not None
    }


@pytest.mark.parametrize(
    "weights, message",
    [
        (state_dict(bias_hh_l0=None), r"Missing: \['bias_hh_l0'\]"),
        (state_dict(bias_ih_l0=None), r"Not expected: \['bias_hh_l0'\]"),
        (state_dict(weight_hh_l0=None), "`weight_hh_l0` is missing"),
        (state_dict(weight_ch_l0=(3,)), r"Not expected: \['weight_ch_l0'\]"),
        (
            state_dict(weight_ih_l1=(24, 6)),
            r"Missing: \['bias_hh_l1', 'bias_ih_l1', 'weight_hh_l1'\]",
        ),
        (state_dict(weight_ih_l2=(24, 6)), "Missing: .*'weight_ih_l1'"),
        (state_dict(rows=2 * U), r"`weight_hh_l0` must .*: \(12, 6\)"),
        (state_dict(rows=4 * U + 1), r"`weight_hh_l0` must .*: \(25, 6\)"),
        (
            state_dict(rows=3 * U, weight_hr_l0=(2, U)),
            r"`weight_hh_l0` must .*\(4U, P\) .*: \(18, 6\)",
        ),
        (
            state_dict(weight_hr_l0=(2, U)),
            r"`weight_hh_l0` must have shape \(24, 2\). Received: \(24, 6\)",
        ),
        (state_dict(weight_hh_l0=(3,)), r"`weight_hh_l0` must be a matrix"),
        (
            state_dict(weight_ih_l0=(23, 4)),
            r"`weight_ih_l0` must have shape \(24, 4\). Received: \(23, 4\)",
        ),
        (
            state_dict(bias_hh_l0=(24, 1)),
            r"`bias_hh_l0` must have shape \(24,\). Received: \(24, 1\)",
        ),
        (
            {f"a.{n}": w for n, w in state_dict().items()},
            r"`prefix` must be one of \['a.'\]. Received: prefix=''",
        ),
    ],
)
def test_bad_state_dicts(weights, message):
    with pytest.raises(ValueError, match=message):
        convert.from_torch(weights)


def built(layer, input_size=D):
    layer.build((None, None, input_size))
    return layer


@pytest.mark.parametrize(
    "layers, message",
    [
        ([keras.layers.LSTM(U)], "layers of `keras_recurrent`, built"),
        ([LSTM(U)], "layers of `keras_recurrent`, built"),
        ([RNN(JANETCell(U))], "layers of `keras_recurrent`, built"),
        ([built(RNN(JANETCell(U)))], "torch has modules for .*JANETCell"),
        ([built(GRU(U, reset_after=False))], "`reset_after` .* only be True"),
        ([built(LSTM(U, activation="relu"))], "`activation` .* only be 'tanh'"),
        ([built(LSTM(U, peepholes=True))], "`peepholes` .* only be False"),
        (
            [built(LSTM(U, projection=2)), built(LSTM(U), 2)],
            r"Missing: \['weight_hr_l1'\]",
        ),
        (
            [built(SimpleRNN(U, activation="sigmoid"))],
            "can only be 'tanh' or 'relu'. Received: activation='sigmoid'",
        ),
        ([built(GRU(U, go_backwards=True))], "second of two directions only"),
        (
            [built(keras.layers.Bidirectional(GRU(U), merge_mode="sum"))],
            "Received: merge_mode='sum'",
        ),
        ([built(GRU(U)), built(GRU(U))], r"`weight_ih_l1` must have shape"),
        ([built(GRU(U)), built(LSTM(U), U)], r"`weight_ih_l1` must have shape"),
        (
            [built(GRU(U)), built(GRU(U, use_bias=False), U)],
            r"Missing: \['bias_hh_l1', 'bias_ih_l1'\]",
        ),
        ([], "`weight_ih_l0` is missing"),
    ],
)
def test_layers_that_torch_has_not(layers, message):
    with pytest.raises(ValueError, match=message):
        convert.to_torch(layers)
