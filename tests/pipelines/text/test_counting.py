"""Counts of tokens, as a stream."""

from collections import Counter

import tensorflow as tf

from keras_recurrent.pipelines.text import counting
from keras_recurrent.pipelines.text.counting import TokenCounts


def test_counts_of_batches_add_up():
    counts = TokenCounts()
    for batch in (["b", "ä", "b"], [], ["ä", "b", "c"]):
        counts.add(tf.constant(batch, tf.string))
    assert counts.counts == Counter({b"b": 3, "ä".encode(): 2, b"c": 1})
    assert counts.most_common() == ["b", "ä", "c"]
    assert counts.most_common(min_count=2) == ["b", "ä"]


def test_equal_counts_go_by_the_alphabet():
    counts = TokenCounts()
    counts.add(tf.constant(["z", "é", "a", "Z"]))
    assert counts.most_common() == ["Z", "a", "z", "é"]


def test_what_occurs_once_is_forgotten_beyond_a_limit(monkeypatch):
    monkeypatch.setattr(counting, "_MOST_TOKENS", 3)
    counts = TokenCounts()
    counts.add(tf.constant(["a", "b", "a", "c"]))
    assert counts.forgotten == 0
    counts.add(tf.constant(["b", "d"]))
    assert counts.counts == Counter({b"a": 2, b"b": 2})
    assert counts.forgotten == 2
