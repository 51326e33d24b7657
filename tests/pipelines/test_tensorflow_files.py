"""Files that TensorFlow cannot write, told in one line."""

import pytest
import tensorflow as tf

from keras_recurrent.pipelines.run import RunError
from keras_recurrent.pipelines.tensorflow_files import tensorflow_files


def test_a_place_where_nothing_can_be_written():
    # Not even by root.
    with pytest.raises(RunError, match="^/proc/none: [^/]+$") as found:
        with tensorflow_files("/proc/none"):
            tf.summary.create_file_writer("/proc/none/train")
    assert "\n" not in str(found.value)


def test_a_full_disk():
    full = tf.errors.ResourceExhaustedError(
        None,
        None,
        "{{function_node __wrapped__WriteSummary}} run/events/train/a.v2; No "
        "space left on device\n\tFailed to flush 11 events to run/events/train",
    )
    with pytest.raises(RunError, match="^run/events: No space left on device$"):
        with tensorflow_files("run/events"):
            raise full


def test_other_errors_stay(tmp_path):
    for error in (
        tf.errors.ResourceExhaustedError(None, None, "out of memory"),
        tf.errors.InternalError(None, None, "something else"),
    ):
        with pytest.raises(type(error)), tensorflow_files(tmp_path):
            raise error
