"""The pairs of another source, but for some."""

from typing import Any

import numpy as np
import tensorflow as tf

from keras_recurrent.pipelines.sources.source import Source


class Selected:
    """What is left of a source; a `Source` itself.

    Args:
        source: The other one.
        skipped: The indexes, from 0, of the pairs to leave out, ascending.
    """

    def __init__(self, source: Source, skipped: np.ndarray) -> None:
        self.source = source
        self.skipped = skipped

    @property
    def left_out(self) -> int:
        return self.source.left_out + len(self.skipped)

    def pairs(self) -> tf.data.Dataset:
        pairs = self.source.pairs()
        count = pairs.cardinality() - len(self.skipped)
        return without(pairs, self.skipped).apply(
            tf.data.experimental.assert_cardinality(count)
        )

    def fingerprint(self) -> str:
        return self.source.fingerprint()

    def place(self, index: int) -> str:
        # So many are left out before each that is.
        kept_before = self.skipped - np.arange(len(self.skipped))
        index += int(np.searchsorted(kept_before, index, side="right"))
        return self.source.place(index)


def without(dataset: tf.data.Dataset, skipped: Any) -> tf.data.Dataset:
    """Leave out the elements of these numbers, from 0."""
    if not len(skipped):
        return dataset
    numbers = tf.constant(skipped, tf.int64)
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(numbers, tf.ones_like(numbers)),
        default_value=0,
    )
    return (
        dataset.enumerate()
        .filter(lambda number, _: table.lookup(number) == 0)
        .map(lambda _, element: element)
    )
