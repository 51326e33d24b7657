"""Pairs of several sources, mixed."""

from itertools import islice
from typing import Any

import tensorflow as tf

from keras_recurrent.pipelines.sources.source import Source

_SEED = 0


class Mixture:
    """Several sources as one, a `Source` itself.

    An epoch has each pair of a source as many times as its weight says. The
    sources are spread evenly over it, in an order that is always the same.

    Args:
        parts: The sources and their weights.
    """

    def __init__(self, parts: list[tuple[Source, int]]) -> None:
        self.parts = parts

    @property
    def left_out(self) -> int:
        return sum(source.left_out for source, _ in self.parts)

    def pairs(self) -> tf.data.Dataset:
        return _mixed(
            [source.pairs().repeat(weight) for source, weight in self.parts]
        )

    def fingerprint(self) -> str:
        return "; ".join(
            f"{weight} x ({source.fingerprint()})"
            for source, weight in self.parts
        )

    def place(self, index: int) -> str:
        sizes = [source.pairs().cardinality() for source, _ in self.parts]
        numbers = _mixed(
            [
                tf.data.Dataset.range(size)
                .repeat(weight)
                .map(lambda number, part=part: (part, number))
                for part, (size, (_, weight)) in enumerate(
                    zip(sizes, self.parts, strict=True)
                )
            ]
        )
        part, number = next(islice(numbers.as_numpy_iterator(), index, None))
        return self.parts[part][0].place(int(number))


def _mixed(datasets: list[Any]) -> tf.data.Dataset:
    sizes = [int(dataset.cardinality()) for dataset in datasets]
    mixed = tf.data.Dataset.sample_from_datasets(
        datasets,
        weights=[size / sum(sizes) for size in sizes],
        seed=_SEED,
        stop_on_empty_dataset=False,
        rerandomize_each_iteration=False,
    )
    return mixed.apply(tf.data.experimental.assert_cardinality(sum(sizes)))
