"""Pairs in lines of JSON, an object each."""

import json
from collections.abc import Iterator

import tensorflow as tf

from keras_recurrent.pipelines.sources.checked import BLANK, Checked, Line
from keras_recurrent.pipelines.sources.file_source import FileSource
from keras_recurrent.pipelines.sources.files import lines_of
from keras_recurrent.pipelines.text_lines import is_blank


class JsonLines(FileSource):
    """Files of JSON objects, one a line.

    TensorFlow does not read JSON, so all pairs are held in memory.
    """

    kind = "JSON lines"
    _texts: tuple[list[str], list[str]]

    def lines(self) -> Iterator[Line]:
        self._texts = ([], [])
        source, target = self.fields
        expected = f"an object with texts {source!r} and {target!r}"
        for path in self.paths:
            for number, line in lines_of(path, self.key):
                place = f"{path}, line {number}"
                line = line.removeprefix(b"\xef\xbb\xbf").strip()
                if not line:
                    yield Line(place, BLANK)
                    continue
                try:
                    found = json.loads(line)
                    pair = [found[name] for name in self.fields]
                    whole = all(
                        isinstance(text, str) and not is_blank(text)
                        for text in pair
                    )
                except (ValueError, KeyError, TypeError):
                    whole = False
                if not whole:
                    yield Line(place, expected, line)
                    continue
                for side, text in zip(self._texts, pair, strict=True):
                    side.append(text)
                yield Line(place, None)

    def checked_pairs(self, checked: Checked) -> tf.data.Dataset:
        source, target = (tf.constant(texts) for texts in self._texts)
        return tf.data.Dataset.from_tensor_slices(
            {"source": source, "target": target}
        )
