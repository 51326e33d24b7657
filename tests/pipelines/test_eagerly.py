"""Tests `eagerly.py`."""

import pytest
import tensorflow as tf

from keras_recurrent.pipelines.eagerly import eagerly


@pytest.mark.parametrize("is_so", [False, True])
def test_functions_run_as_they_are_asked_to(is_so):
    @tf.function
    def runs_eagerly():
        return tf.constant(tf.inside_function())

    def is_eager():
        return not runs_eagerly()

    with eagerly(is_so):
        assert is_eager() == is_so
        with eagerly(False):
            assert is_eager() == is_so
    assert not is_eager()
    with pytest.raises(KeyError), eagerly():
        raise KeyError
    assert not is_eager()
