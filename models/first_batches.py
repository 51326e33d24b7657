"""A look at the data before training."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import keras
import tensorflow as tf


def first_batches(
    x: Any, y: Any, count: int
) -> tuple[list[tuple[Any, Any]], Any]:
    """Look at the first batches of what `fit` is given.

    Args:
        x, y: The arguments of `keras.Model.fit`: arrays, of which all is one
            batch; or as `x` a `tf.data.Dataset`, a `keras.utils.PyDataset`,
            a generator, or whatever else yields batches.
        count: How many batches to look at.

    Returns:
        Up to `count` batches, inputs and labels; and what `fit` is to be given
        in place of `x`, as a generator would lack the batches looked at.
    """
    if y is not None:
        return [(x, y)], x
    if x is None or isinstance(x, tf.distribute.DistributedDataset):
        return [], x
    if isinstance(x, tf.data.Dataset):
        x_again, batches = x, x.take(count)
    elif isinstance(x, keras.utils.PyDataset):
        count = min(x.num_batches or count, count)
        x_again, batches = x, [x[i] for i in range(count)]
    else:
        iterator = iter(x)
        batches = list(islice(iterator, count))
        x_again = _generator(chain(batches, iterator)) if iterator is x else x
    parts = map(keras.utils.unpack_x_y_sample_weight, batches)
    return [(x, y) for x, y, _ in parts if y is not None], x_again


def _generator(batches: Iterator[Any]) -> Iterator[Any]:
    """What Keras takes for a generator."""
    yield from batches
