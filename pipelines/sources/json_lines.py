"""Pairs in lines of JSON, an object each."""

import json
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from keras_recurrent.pipelines.sources.checked import (
    BLANK,
    Line,
    check,
    place_of_pair,
)
from keras_recurrent.pipelines.sources.files import (
    fingerprint_of,
    lines_of,
    name_of,
)
from keras_recurrent.pipelines.text_lines import is_blank


class JsonLines:
    """Files of JSON objects, one a line, plain or gzipped.

    TensorFlow does not read JSON, so all pairs are held in memory.

    Args:
        paths: The files, read one after the other.
        source: The name of what is the source.
        target: The name of what is the target.
        key: Of the recipe, for errors.
        skip_malformed: See `check`.
    """

    def __init__(
        self,
        paths: list[Path],
        source: str,
        target: str,
        key: str,
        skip_malformed: bool,
    ) -> None:
        self.paths = paths
        self.names = (source, target)
        self.key = key
        self.skip_malformed = skip_malformed

    def pairs(self) -> tf.data.Dataset:
        texts: tuple[list[str], list[str]] = ([], [])
        name = name_of(self.key, self.paths)
        check(self._lines(texts), name, self.skip_malformed)
        return tf.data.Dataset.from_tensor_slices(
            {"source": tf.constant(texts[0]), "target": tf.constant(texts[1])}
        )

    def fingerprint(self) -> str:
        return fingerprint_of(self.paths, self.key)

    def place(self, index: int) -> str:
        return place_of_pair(self._lines(([], [])), index)

    def _lines(self, texts: tuple[list[str], list[str]]) -> Iterator[Line]:
        """Check all lines, and add the pairs to `texts`."""
        expected = (
            f"an object with texts {self.names[0]!r} and {self.names[1]!r}"
        )
        for path in self.paths:
            for number, line in lines_of(path, self.key):
                place = f"{path}, line {number}"
                line = line.removeprefix(b"\xef\xbb\xbf").strip()
                if not line:
                    yield Line(place, BLANK)
                    continue
                try:
                    found = json.loads(line)
                    pair = [found[name] for name in self.names]
                    whole = all(
                        isinstance(text, str) and not is_blank(text)
                        for text in pair
                    )
                except (ValueError, KeyError, TypeError):
                    whole = False
                if not whole:
                    yield Line(place, expected, line)
                    continue
                for side, text in zip(texts, pair, strict=True):
                    side.append(text)
                yield Line(place, None)
