"""Pairs of several sources, mixed."""

from collections.abc import Sequence

import tensorflow as tf

from keras_recurrent.pipelines.sources.source import Source

_CHUNK = 2**12


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
        sizes = self._sizes()
        total = sum(sizes)
        choices = (
            tf.data.Dataset.range(total)
            .batch(_CHUNK)
            .map(lambda positions: taken(sizes, positions)[0])
            .unbatch()
        )
        parts = [source.pairs().repeat(weight) for source, weight in self.parts]
        return tf.data.Dataset.choose_from_datasets(
            parts, choices, stop_on_empty_dataset=False
        ).apply(tf.data.experimental.assert_cardinality(total))

    def fingerprint(self) -> str:
        return "; ".join(
            f"{weight} x ({source.fingerprint()})"
            for source, weight in self.parts
        )

    def place(self, index: int) -> str:
        part, number = map(int, taken(self._sizes(), tf.constant(index)))
        source, _ = self.parts[part]
        return source.place(number % int(source.pairs().cardinality()))

    def _sizes(self) -> list[int]:
        """Return how many pairs of each part an epoch has."""
        return [
            weight * int(source.pairs().cardinality())
            for source, weight in self.parts
        ]


def taken(
    sizes: Sequence[int], positions: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Tell what stands where if parts are spread evenly over a whole.

    Of n elements among N, so many come before position i: i·n div N. What is
    between them is the rest, to which the same applies.

    Args:
        sizes: How many elements each part has.
        positions: In the whole, integers from 0, of any shape.

    Returns:
        For each position the number of a part, int64, and that of an element
        of it.
    """
    positions = tf.cast(positions, tf.int64)
    parts = numbers = tf.fill(tf.shape(positions), tf.constant(-1, tf.int64))
    for part in reversed(range(len(sizes))):
        size, whole = sizes[part], sum(sizes[: part + 1])
        before = positions * size // max(whole, 1)
        is_here = (positions + 1) * size // max(whole, 1) > before
        is_new = is_here & (parts < 0)
        parts = tf.where(is_new, tf.constant(part, tf.int64), parts)
        numbers = tf.where(is_new, before, numbers)
        positions -= before
    return parts, numbers
