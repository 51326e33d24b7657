"""Graphs that depend on nothing of the machine that made them."""

import pytest
import tensorflow as tf

from keras_recurrent.layers import GRU, for_export


def loops_of(layer, rows=None):
    graph = tf.function(layer).get_concrete_function(
        tf.TensorSpec((rows, None, 3))
    )
    operations = graph.graph.get_operations()
    loops = sum("While" in operation.type for operation in operations)
    # One of several time steps a turn, and one of those that are left.
    assert loops % 2 == 0
    return loops // 2


@pytest.fixture
def many_cores(have_cores):
    have_cores(64)


def test_loops_side_by_side_have_a_bound(many_cores):
    layer = GRU(128)
    assert loops_of(layer) == 16
    assert loops_of(layer, rows=40) == 5
    assert loops_of(layer, rows=1) == 1


def test_narrow_layers_have_one_loop_at_inference(many_cores):
    assert loops_of(GRU(64)) == 1


def test_what_is_exported_has_one_loop(many_cores):
    with for_export():
        assert loops_of(GRU(128)) == 1
