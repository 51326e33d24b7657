"""Pairs in two files: line by line, a source and its target."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import tensorflow as tf

from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.sources.checked import Checked, Line
from keras_recurrent.pipelines.sources.file_source import FileSource
from keras_recurrent.pipelines.sources.files import lines_of, text_lines
from keras_recurrent.pipelines.text_lines import (
    MalformedLine,
    is_blank,
    read_line,
)

_EXPECTED = "text on both sides"


class Parallel(FileSource):
    """Files of sources beside files of targets.

    There is text on both sides of every line, and there are as many lines.

    Args:
        sources: The files of sources, read one after the other.
        targets: Those of targets.
        key: Of the recipe, for errors.
        skip_malformed: See `check`.
    """

    kind = "parallel"

    def __init__(
        self,
        sources: list[Path],
        targets: list[Path],
        key: str,
        skip_malformed: bool = False,
    ) -> None:
        super().__init__([*sources, *targets], key, skip_malformed)
        self.sources = sources
        self.targets = targets

    def checked_pairs(self, checked: Checked) -> tf.data.Dataset:
        sides = {"source": self.sources, "target": self.targets}
        return checked.only_pairs(
            tf.data.Dataset.zip(
                {side: text_lines(paths) for side, paths in sides.items()}
            )
        )

    def lines(self) -> Iterator[Line]:
        sides = (
            self._lines_of(self.sources, "source"),
            self._lines_of(self.targets, "target"),
        )
        counts = [0, 0]
        for pair in zip_longest(*sides):
            for side, line in enumerate(pair):
                counts[side] += line is not None
            if None in pair:
                continue  # only to count
            (source_at, source), (target_at, target) = pair
            place = f"{source_at} and {target_at}"
            line = source
            try:
                at, blank = source_at, is_blank(read_line(source, source_at))
                at, line = target_at, target
                blank |= is_blank(read_line(target, target_at))
            except MalformedLine as error:
                yield Line(at, error.expected, line)
                continue
            if blank:
                both = source.rstrip() + b" | " + target.rstrip()
                yield Line(place, _EXPECTED, both)
            else:
                yield Line(place, None)
        if counts[0] != counts[1]:
            raise RecipeError(
                f"{self.key}: {_names(self.sources)} and "
                f"{_names(self.targets)} are to have as many lines. "
                f"Received: {counts[0]:,} and {counts[1]:,}"
            )

    def _lines_of(
        self, paths: list[Path], side: str
    ) -> Iterator[tuple[str, bytes]]:
        for path in paths:
            for number, line in lines_of(path, f"{self.key}.{side}"):
                yield f"{path}, line {number}", line


def _names(paths: list[Path]) -> str:
    return ", ".join(map(str, paths))
