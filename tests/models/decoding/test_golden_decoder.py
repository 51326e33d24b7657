"""Attention decoders of tensorflow-addons 0.23, weights and results.

The steps are written from the equations of its `AttentionWrapper`. There, id 0
is a token like the others and the end is 2; here 0 is padding, so all ids move
up by one.
"""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import beam_search, greedy_search, score_target

GOLDEN = Path(__file__).parents[2] / "golden"
NAMES = (
    "decoder_gru_bahdanau",
    "decoder_lstm_bahdanau_no_attention_layer",
    "decoder_lstm_luong",
)
START, END, L, B = 2, 3, 9, 3


class Golden:
    def __init__(self, name):
        self.arrays = dict(np.load(GOLDEN / f"{name}.npz"))
        self.lstm = "lstm" in name
        self.mask = np.arange(7) < self.arrays["lengths"][:, np.newaxis]
        cell = "lstm_cell" if self.lstm else "gru_cell"
        self.kernel = self.weight(cell, "/kernel")
        self.recurrent = self.weight(cell, "recurrent_kernel")
        self.bias = self.weight(cell, "/bias")
        self.keys = self["memory"] @ self.weight("memory_layer")

    def __getitem__(self, name):
        return tf.constant(self.arrays[name])

    def weight(self, *parts):
        """The weight with all these parts in its name, or None."""
        for name in self.arrays:
            if "/w/" in name and all(part in name for part in parts):
                return self[name]
        return None

    def cell(self, x, states):
        if self.lstm:
            h, c = states
            gates = x @ self.kernel + h @ self.recurrent + self.bias
            i, f, g, o = tf.split(gates, 4, axis=-1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
            return h, (h, c)
        (h,) = states
        of_x = tf.split(x @ self.kernel + self.bias[0], 3, axis=-1)
        of_h = tf.split(h @ self.recurrent + self.bias[1], 3, axis=-1)
        z = tf.sigmoid(of_x[0] + of_h[0])
        r = tf.sigmoid(of_x[1] + of_h[1])
        h = z * h + (1 - z) * tf.tanh(of_x[2] + r * of_h[2])
        return h, (h,)

    def attend(self, query):
        """K queries (B, K, U) for each sentence."""
        v = self.weight("attention_v")
        if v is None:
            scores = tf.einsum("bku,bsu->bks", query, self.keys)
        else:
            query = query @ self.weight("BahdanauAttention/kernel")
            both = query[:, :, tf.newaxis] + self.keys[:, tf.newaxis]
            scores = tf.reduce_sum(v * tf.tanh(both), axis=-1)
        mask = self.mask[:, np.newaxis]
        alignments = tf.nn.softmax(tf.where(mask, scores, -1e9))
        return alignments @ self["memory"], alignments

    def step(self, ids, state):
        states, attention = state
        x = tf.gather(self["embedding"], tf.maximum(ids - 1, 0))
        output, states = self.cell(tf.concat([x, attention], -1), states)
        per = tf.shape(ids)[0] // B
        context, alignments = self.attend(tf.reshape(output, (B, per, 6)))
        attention = tf.reshape(context, (-1, 4))
        layer = self.weight("attention_layer")
        if layer is not None:
            attention = tf.concat([output, attention], -1) @ layer
        kernel = self.weight("dense", "kernel")
        logits = attention @ kernel + self.weight("dense", "bias")
        logits = tf.pad(logits, [[0, 0], [1, 0]], constant_values=-np.inf)
        return logits, tf.reshape(alignments, (-1, 7)), (states, attention)

    def start(self):
        states = [self["init0"]] + ([self["init1"]] if self.lstm else [])
        layer = self.weight("attention_layer")
        size = 4 if layer is None else 5
        return (tuple(states), tf.zeros((B, size)))


def expected_ids(ids):
    """Ids (B, L) of tensorflow-addons, which repeats the end, as ours."""
    ids = ids + 1
    ended = np.cumsum(ids == END, axis=1) - (ids == END) > 0
    return np.where(ended, 0, ids)


@pytest.fixture(scope="module", params=NAMES)
def golden(request):
    return Golden(request.param)


def test_teacher_forcing(golden):
    target = golden["target_ids"] + 1
    found = score_target(
        golden.step, golden.start(), target[:, 0], target[:, 1:], end_id=END
    )
    log_probs = tf.nn.log_softmax(golden["logits"][:, :-1])
    expected = tf.gather(log_probs, target[:, 1:] - 1, batch_dims=2)
    alignments = golden.arrays["alignments"].transpose(1, 0, 2)[:, :-1]
    # Nothing comes after the end.
    real = found.ids[:, 0].numpy() != 0
    np.testing.assert_allclose(
        found.token_log_probs[:, 0], np.where(real, expected, 0), atol=1e-4
    )
    np.testing.assert_allclose(
        found.alignments[:, 0], alignments * real[..., np.newaxis], atol=1e-5
    )


def test_greedy(golden):
    found = greedy_search(
        golden.step,
        golden.start(),
        tf.fill((B,), START),
        end_id=END,
        max_length=L,
    )
    expected = expected_ids(golden.arrays["greedy_ids"])
    np.testing.assert_array_equal(found.ids[:, 0], expected)
    np.testing.assert_array_equal(
        found.lengths[:, 0], golden.arrays["greedy_lengths"]
    )


@pytest.mark.parametrize(
    "width, length_weight, coverage_weight",
    [(1, 0.0, 0.0), (3, 0.0, 0.0), (4, 0.6, 0.0), (4, 1.0, 0.0), (4, 0.6, 0.2)],
)
def test_beams(golden, width, length_weight, coverage_weight):
    """Lengths count the end token there, and here they do not.

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
