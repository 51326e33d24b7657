"""Pairs in lines: a source, a tab and a target."""

from collections.abc import Iterator

import tensorflow as tf

from keras_recurrent.pipelines.sources.checked import BLANK, Checked, Line
from keras_recurrent.pipelines.sources.file_source import FileSource
from keras_recurrent.pipelines.sources.files import lines_of, text_lines
from keras_recurrent.pipelines.text_lines import (
    MalformedLine,
    is_blank,
    read_line,
)

_EXPECTED = "a source, a tab and a target"


class TabSeparated(FileSource):
    """Files in the format of `text_lines`.

    Lines have two columns or more (all from the third on are ignored), neither
    of them blank. Blank lines are skipped.
    """

    kind = "tab-separated"

    def lines(self) -> Iterator[Line]:
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

    def checked_pairs(self, checked: Checked) -> tf.data.Dataset:
        lines = checked.only_pairs(text_lines(self.paths))
        # Splitting many lines at once is much faster.
        return lines.batch(1024).map(_split_columns).unbatch()


def _split_columns(lines: tf.Tensor) -> dict[str, tf.Tensor]:
    columns = tf.strings.split(lines, "\t")[:, :2].to_tensor(shape=(None, 2))
    return {"source": columns[:, 0], "target": columns[:, 1]}
