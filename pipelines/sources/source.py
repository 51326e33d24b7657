"""What a place that pairs come from can be asked."""

from typing import Protocol

import tensorflow as tf


class Source(Protocol):
    """The pairs of one split."""

    @property
    def left_out(self) -> int:
        """How many pairs, or lines that were to be, `pairs` has left out."""

    def pairs(self) -> tf.data.Dataset:
        """Return `{"source": string, "target": string}`, in a fixed order.

        Their number is known. An iterator over them can be saved. The same
        dataset each time.

        Raises:
            RecipeError: they cannot be read, or there are none.
        """

    def fingerprint(self) -> str:
        """Name what tells whether the pairs are still the same.

        Raises:
            RecipeError: they cannot be read.
        """

    def place(self, index: int) -> str:
        """Say where the pair of this index, from 0, is to be found."""
