"""Pairs in lines: a source, a tab and a target."""

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
    cached_if_small,
    fingerprint_of,
    lines_of,
    name_of,
    text_lines,
)
from keras_recurrent.pipelines.text_lines import (
    MalformedLine,
    is_blank,
    read_line,
)

_EXPECTED = "a source, a tab and a target"


class TabSeparated:
    """Files in the format of `text_lines`, plain or gzipped.

    Every line is checked before the first is returned: two columns or more
    (all from the third on are ignored), neither of them blank. Blank lines are
    skipped.

    Args:
        paths: The files, read one after the other.
        key: Of the recipe, for errors.
        skip_malformed: See `check`.
    """

    def __init__(
        self, paths: list[Path], key: str, skip_malformed: bool
    ) -> None:
        self.paths = paths
        self.key = key
        self.skip_malformed = skip_malformed

    def pairs(self) -> tf.data.Dataset:
        name = name_of(self.key, self.paths)
        checked = check(self._lines(), name, self.skip_malformed)
        lines = checked.only_pairs(text_lines(self.paths))
        # Splitting many lines at once is much faster.
        pairs = (
            lines.batch(1024)
            .map(_split_columns)
            .unbatch()
            .apply(tf.data.experimental.assert_cardinality(checked.pairs))
        )
        return cached_if_small(pairs, self.paths)

    def fingerprint(self) -> str:
        return fingerprint_of(self.paths, self.key)

    def place(self, index: int) -> str:
        return place_of_pair(self._lines(), index)

    def _lines(self) -> Iterator[Line]:
        for path in self.paths:
            for number, line in lines_of(path, self.key):
                place = f"{path}, line {number}"
                try:
                    text = read_line(line, place)
                except MalformedLine as error:
                    yield Line(place, error.expected, line)
                    continue
                source, _, rest = text.partition("\t")
                target, _, _ = rest.partition("\t")
                if is_blank(text):
                    yield Line(place, BLANK)
                elif is_blank(source) or is_blank(target):
                    yield Line(place, _EXPECTED, line)
                else:
                    yield Line(place, None)


def _split_columns(lines: tf.Tensor) -> dict[str, tf.Tensor]:
    lines = tf.strings.regex_replace(lines, "^\ufeff", "")
    columns = tf.strings.split(lines, "\t")[:, :2].to_tensor(shape=(None, 2))
    return {"source": columns[:, 0], "target": columns[:, 1]}
