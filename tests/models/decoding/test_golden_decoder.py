"""Attention decoders of tensorflow-addons 0.23, weights and results.

Those named `ended` have weights with which outputs end before the limit; those
of the others never do. There, id 0 is a token like the others and the end is 2;
here 0 is padding, so all ids move up by one.
"""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import (
    AttentionCell,
    BahdanauAttention,
    GRUCell,
    LSTMCell,
    LuongAttention,
)
from keras_recurrent.layers.convert import load_addons_decoder_weights
from keras_recurrent.models import (
    MaskedCrossentropy,
    beam_search,
    greedy_search,
)
from tests.oracles import GOLDEN

NAMES = (
    "decoder_gru_bahdanau",
    "decoder_lstm_bahdanau_no_attention_layer",
    "decoder_lstm_luong",
    "ended_decoder_gru_bahdanau",
    "ended_decoder_lstm_bahdanau_no_attention_layer",
    "ended_decoder_lstm_luong",
)
START, END, L, B = 2, 3, 9, 3


class Golden:
    """A decoder of ours with the weights of one of theirs."""

    def __init__(self, name):
        self.arrays = dict(np.load(GOLDEN / f"{name}.npz"))
        self.mask = np.arange(7) < self.arrays["lengths"][:, np.newaxis]
        luong = "luong" in name
        self.cell = AttentionCell(
            LSTMCell(6) if "lstm" in name else GRUCell(6),
            LuongAttention(6) if luong else BahdanauAttention(5),
            None if "no_attention_layer" in name else 5,
            query="new_state",
            input_feeding=True,
            activation=None,
        )
        self.cell.build((None, 4), (None, None, 4))
        load_addons_decoder_weights(
            self.cell,
            {
                name.removeprefix("wrap/w/"): array
                for name, array in self.arrays.items()
                if name.startswith("wrap/w/")
            },
        )
        self.kernel, self.bias = (
            self[name] for name in self.arrays if name.startswith("out/w/")
        )
        self.memory = self.cell.prepare_memory(self["memory"], self.mask)

    def __getitem__(self, name):
        return tf.constant(self.arrays[name])

    def logits(self, outputs):
        return outputs @ self.kernel + self.bias

    def step(self, ids, state):
        x = tf.gather(self["embedding"], tf.maximum(ids - 1, 0))
        output, alignments, state = self.cell(x, state, self.memory)
        logits = tf.pad(
            self.logits(output), [[0, 0], [1, 0]], constant_values=-np.inf
        )
        return logits, alignments, state

    def start(self):
        cells = [self[name] for name in self.arrays if name.startswith("init")]
        return self.cell.get_initial_state(self.memory, [cells])


def expected_ids(ids):
    """Ids (B, L) of tensorflow-addons, which repeats the end, as ours."""
    ids = ids + 1
    ended = np.cumsum(ids == END, axis=1) - (ids == END) > 0
    return np.where(ended, 0, ids)


@pytest.fixture(scope="module", params=NAMES)
def golden(request):
    return Golden(request.param)


@pytest.mark.parametrize("training", [False, True])
def test_teacher_forcing(golden, training):
    """The targets are the inputs; their loss is the mean over real tokens."""
    target = golden.arrays["target_ids"]
    run = tf.function(golden.cell.run, autograph=False)
    outputs, alignments = run(
        tf.gather(golden["embedding"], target),
        golden.start(),
        golden.memory,
        training=training,
    )
    real = np.arange(5) < golden.arrays["target_lengths"][:, np.newaxis]
    logits = golden.logits(outputs)
    np.testing.assert_allclose(
        logits[real], golden.arrays["logits"][real], atol=1e-4
    )
    np.testing.assert_allclose(
        alignments.numpy()[real],
        golden.arrays["alignments"].transpose(1, 0, 2)[real],
        atol=1e-4,
    )
    # Id 0 is a token there, and padding here.
    logits = tf.pad(logits, [[0, 0], [0, 0], [1, 0]], constant_values=-1e9)
    loss = MaskedCrossentropy()(np.where(real, target + 1, 0), logits)
    np.testing.assert_allclose(loss, golden.arrays["loss"], atol=1e-4)


def test_greedy(golden):
    """Lengths count the end token there, and here they do not."""
    found = greedy_search(
        golden.step,
        golden.start(),
        tf.fill((B,), START),
        end_id=END,
        max_length=L,
    )
    expected = expected_ids(golden.arrays["greedy_ids"])
    np.testing.assert_array_equal(found.ids[:, 0], expected)
    ended = (expected == END).any(-1)
    np.testing.assert_array_equal(
        found.lengths[:, 0] + ended, golden.arrays["greedy_lengths"]
    )


@pytest.mark.parametrize(
    "width, length_weight, coverage_weight",
    [(1, 0.0, 0.0), (3, 0.0, 0.0), (4, 0.6, 0.0), (4, 1.0, 0.0), (4, 0.6, 0.2)],
)
def test_beams(golden, width, length_weight, coverage_weight):
    """Lengths as in `test_greedy`.

    There, a source position whose attention is exactly 0 costs nothing, as if
    it were padding. With these weights only padding has that, so the fault
    does not show; `test_ranking.py` has the right value.
    """
    found = beam_search(
        golden.step,
        golden.start(),
        tf.fill((B,), START),
        end_id=END,
        max_length=L,
        beam_width=width,
        length_penalty=length_weight,
        coverage_penalty=coverage_weight,
        source_mask=tf.constant(golden.mask),
    )
    case = f"beam{width}_lp{length_weight}_cp{coverage_weight}"
    ids = golden.arrays[f"{case}/ids"].transpose(0, 2, 1)
    ids = np.stack([expected_ids(one) for one in ids])
    np.testing.assert_array_equal(found.ids, ids)
    np.testing.assert_allclose(
        found.log_probs, golden.arrays[f"{case}/log_probs"], atol=1e-4
    )
    np.testing.assert_allclose(
        found.scores, golden.arrays[f"{case}/scores"][:, -1], atol=1e-4
    )
    ended = (ids == END).any(-1)
    np.testing.assert_array_equal(
        found.lengths + ended, golden.arrays[f"{case}/lengths"]
    )
