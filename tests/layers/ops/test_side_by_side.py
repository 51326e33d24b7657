"""Parts of a batch, cut and joined."""

import os
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers.ops.side_by_side import (
    available_cores,
    one_loop,
    side_by_side,
    sizes_of_parts,
)


def in_graph(rows, cores, have_cores, static=True):
    """The sizes of the parts, as a graph has them."""
    have_cores(cores)
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
    rows, cores, parts, have_cores
):
    assert in_graph(rows, cores, have_cores) == parts


def test_at_most_sixteen_for_any_number_of_rows(have_cores):
    assert in_graph(100, 64, have_cores, static=False) == 16


@pytest.mark.skipif(sys.platform != "linux", reason="tells of no such cores")
def test_cores_are_those_that_the_process_may_use():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert available_cores() == len(allowed)


def test_one_loop_where_asked_for_and_eagerly(have_cores):
    with one_loop():
        assert in_graph(64, 4, have_cores) == 1
    assert sizes_of_parts(tf.zeros((5, 64, 2))) == [64]


def test_nested_structures_come_back_whole(have_cores):
    """With `None` among them, and axes of time and batch."""
    have_cores(3)
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
