"""Graphs that are to run on other machines."""

import contextlib
from collections.abc import Iterator

from keras_recurrent.layers.cudnn_rnn import without_cudnn
from keras_recurrent.layers.ops.side_by_side import one_loop


@contextlib.contextmanager
def for_export() -> Iterator[None]:
    """Make graphs in this context that depend on nothing of this machine.

    Recurrent layers are without cuDNN, which needs a GPU, and have one loop,
    where for this machine they would have one for each processor core. So make
    what is exported within `with for_export():`.
    """
    with without_cudnn(), one_loop():
        yield
