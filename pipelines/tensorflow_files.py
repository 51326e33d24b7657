"""Files that TensorFlow writes: events, exported models."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from keras_recurrent.pipelines.run import RunError


@contextmanager
def tensorflow_files(folder: str | Path) -> Iterator[None]:
    """Say in one line that a file below a folder could not be written.

    Raises:
        RunError: the disk is full, or the folder read-only.
    """
    try:
        yield
    except tf.errors.OpError as error:
        # Name of the file; reason, and then what was to be done.
        about = re.search(rf"{re.escape(str(folder))}\S*; (.+)", error.message)
        if about is None:
            raise
        raise RunError(f"{folder}: {about[1].strip()}") from None
