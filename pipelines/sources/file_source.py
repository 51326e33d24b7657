"""What all sources that are files have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import tensorflow as tf

from keras_recurrent.pipelines.sources.checked import Checked, Line, check
from keras_recurrent.pipelines.sources.files import (
    cached_if_small,
    fingerprint_of,
    name_of,
)


class FileSource(ABC):
    """Pairs in files, plain or gzipped; a `Source`.

    All lines are checked before the first pair is returned.

    Args:
        paths: The files, read one after the other.
        key: Of the recipe, for errors.
        skip_malformed: See `check`.
        fields: What source and target are called, where fields have names.
    """

    kind: str
    """What such files are called."""

    def __init__(
        self,
        paths: list[Path],
        key: str,
        skip_malformed: bool = False,
        fields: tuple[str, str] = ("source", "target"),
    ) -> None:
        self.paths = paths
        self.key = key
        self.skip_malformed = skip_malformed
        self.fields = fields
        self.left_out = 0
        self._pairs: tf.data.Dataset | None = None

    def pairs(self) -> tf.data.Dataset:
        if self._pairs is None:
            name = name_of(self.key, self.paths)
            checked = check(self.lines(), name, self.skip_malformed)
            self.left_out = checked.malformed
            pairs = self.checked_pairs(checked).apply(
                tf.data.experimental.assert_cardinality(checked.pairs)
            )
            self._pairs = cached_if_small(pairs, self.paths)
        return self._pairs

    def fingerprint(self) -> str:
        return fingerprint_of(self.paths, self.key)

    def place(self, index: int) -> str:
        pairs = (line for line in self.lines() if line.expected is None)
        return next(islice(pairs, index, None)).place

    @abstractmethod
    def lines(self) -> Iterator[Line]:
        """Yield what a check finds in each line."""

    @abstractmethod
    def checked_pairs(self, checked: Checked) -> tf.data.Dataset:
        """Return the pairs, once all lines have been checked."""
