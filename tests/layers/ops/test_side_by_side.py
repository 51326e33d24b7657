"""Parts of a batch, cut and joined."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers.ops.side_by_side import (
    one_loop,
    side_by_side,
    sizes_of_parts,
)


def in_graph(rows, cores, monkeypatch, static=True):
    """The sizes of the parts, as a graph has them."""
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    spec = tf.TensorSpec((5, rows if static else None, 2))
    found = []

    @tf.function(input_signature=[spec], autograph=False)
    def trace(sequence):
        sizes = sizes_of_parts(sequence)
        found.append(len(sizes))
        return [tf.convert_to_tensor(size) for size in sizes]

    sizes = [int(size) for size in trace(tf.zeros((5, rows, 2)))]
    assert sum(sizes) == rows and max(sizes) - min(sizes) <= 1
    return found[0]


@pytest.mark.parametrize(
    ("rows", "cores", "parts"),
    [(64, 1, 1), (64, 4, 4), (7, 4, 1), (17, 4, 2), (1000, 64, 64)],
)
def test_a_loop_for_each_core_with_eight_rows_or_more(
    rows, cores, parts, monkeypatch
):
    assert in_graph(rows, cores, monkeypatch) == parts


def test_at_most_sixteen_for_any_number_of_rows(monkeypatch):
    assert in_graph(100, 64, monkeypatch, static=False) == 16


def test_one_loop_where_asked_for_and_eagerly(monkeypatch):
    with one_loop():
        assert in_graph(64, 4, monkeypatch) == 1
    assert sizes_of_parts(tf.zeros((5, 64, 2))) == [64]


def test_nested_structures_come_back_whole(monkeypatch):
    """With `None` among them, and axes of time and batch."""
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    over_time = {"x": tf.reshape(tf.range(5 * 25 * 2), (5, 25, 2)), "z": None}
    batch = [tf.range(25), None]
    pieces = []

    def run(over_time, batch):
        pieces.append(over_time["x"].shape[1])
        doubled = {"y": 2 * over_time["x"], "z": None}
        return doubled, (batch[0] + 1, batch[1])

    @tf.function(autograph=False)
    def whole():
        over, rows = side_by_side(run, over_time, batch)
        assert over["z"] is None and rows[1] is None
        return over["y"], rows[0]

    doubled, plus_one = whole()
    assert pieces == [8, 8, 9]
    np.testing.assert_array_equal(doubled, 2 * over_time["x"])
    np.testing.assert_array_equal(plus_one, np.arange(25) + 1)
