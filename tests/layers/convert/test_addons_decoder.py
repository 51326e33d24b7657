"""Weights of an `AttentionWrapper`.

That they do the same is tested on golden values in
`test_golden_decoder` of `models.decoding`.
"""

import numpy as np
import pytest

from keras_recurrent.layers import (
    AttentionCell,
    BahdanauAttention,
    GRUCell,
    LSTMCell,
    Monotonic,
)
from keras_recurrent.layers.convert import load_addons_decoder_weights

D, M, U, A, N = 4, 3, 6, 5, 7


def build(query="new_state", input_feeding=True, attention=None, cells=None):
    cell = AttentionCell(
        cells or [LSTMCell(U), GRUCell(U)],
        attention
        or BahdanauAttention(
            A, normalize=True, probability_fn=Monotonic("recursive")
        ),
        N,
        query=query,
        input_feeding=input_feeding,
        activation=None,
    )
    several = len(cell.attentions) > 1
    cell.build((None, D), [(None, None, M)] * 2 if several else (None, None, M))
    return cell


def weights():
    rng = np.random.default_rng(0)
    shapes = {
        "attention_layer/kernel:0": (U + M, N),
        "stacked_rnn_cells/lstm_cell/kernel:0": (D + N, 4 * U),
        "stacked_rnn_cells/lstm_cell/recurrent_kernel:0": (U, 4 * U),
        "stacked_rnn_cells/lstm_cell/bias:0": (4 * U,),
        "stacked_rnn_cells/gru_cell/kernel:0": (U, 3 * U),
        "stacked_rnn_cells/gru_cell/recurrent_kernel:0": (U, 3 * U),
        "stacked_rnn_cells/gru_cell/bias:0": (2, 3 * U),
        "mine/attention_v:0": (A,),
        "mine/attention_g:0": (),
        "mine/attention_b:0": (A,),
        "mine/attention_score_bias:0": (),
        "mine/kernel:0": (U, A),
        "mine/memory_layer/kernel:0": (M, A),
    }
    return {
        f"decoder/attention_wrapper/{name}": rng.normal(size=shape)
        for name, shape in shapes.items()
    }


def test_a_stack_with_all_that_an_attention_may_have():
    cell, given = build(), weights()
    load_addons_decoder_weights(cell, given)
    attention = cell.attentions[0]
    ours = {
        "stacked_rnn_cells/lstm_cell/kernel": cell.cells[0].kernel,
        "stacked_rnn_cells/gru_cell/bias": cell.cells[1].bias,
        "mine/attention_g": attention.score_length,
        "mine/attention_b": attention.score_bias,
        "mine/attention_score_bias": attention.monotonic.stop_bias,
        "mine/kernel": attention.query_kernel,
        "mine/memory_layer/kernel": attention.memory_kernel,
    }
    for name, weight in ours.items():
        expected = given[f"decoder/attention_wrapper/{name}:0"]
        np.testing.assert_allclose(weight, expected, rtol=1e-6)
    score = given["decoder/attention_wrapper/mine/attention_v:0"]
    np.testing.assert_allclose(attention.score_kernel[:, 0], score, rtol=1e-6)
    # There one matrix serves both.
    kernel = given["decoder/attention_wrapper/attention_layer/kernel:0"]
    np.testing.assert_allclose(cell.context_kernel, kernel[U:], rtol=1e-6)
    np.testing.assert_allclose(cell.output_kernel, kernel[:U], rtol=1e-6)


def without(name):
    return {key: w for key, w in weights().items() if name not in key}


@pytest.mark.parametrize(
    ("make", "given", "message"),
    [
        (lambda: build("previous_state"), weights, "query='previous_state'"),
        (lambda: build(input_feeding=False), weights, "input_feeding=False"),
        (
            lambda: build(attention=[BahdanauAttention(A)] * 2),
            weights,
            "2 of them",
        ),
        (lambda: build(cells=GRUCell(U)), weights, "those of 1 cells.*of 2"),
        (build, lambda: without("attention_v"), "score_kernel.*Received"),
        (build, lambda: without("lstm_cell/bias"), r"Missing: \['bias'\]"),
        (
            build,
            lambda: (
                weights()
                | {"decoder/attention_wrapper/mine/kernel:0": np.ones((U, 2))}
            ),
            r"`query_kernel` must have shape \(6, 5\).*\(6, 2\)",
        ),
    ],
)
def test_bad_weights(make, given, message):
    cell = make()
    before = cell.attentions[0].get_weights()
    with pytest.raises(ValueError, match=message):
        load_addons_decoder_weights(cell, given())
    for old, new in zip(before, cell.attentions[0].get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_cell_that_is_not_built():
    cell = AttentionCell(
        [GRUCell(U)],
        BahdanauAttention(A),
        U,
        query="new_state",
        input_feeding=True,
    )
    with pytest.raises(ValueError, match="must be built"):
        load_addons_decoder_weights(cell, weights())
