"""Pairs in TFRecord files, an example each."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.sources.checked import Checked, Line
from keras_recurrent.pipelines.sources.file_source import FileSource
from keras_recurrent.pipelines.sources.files import cannot_read, is_gzipped

_BATCH = 1024


class Records(FileSource):
    """TFRecord files of `tf.train.Example`, with two features of bytes."""

    kind = "TFRecord"

    def checked_pairs(self, checked: Checked) -> tf.data.Dataset:
        whole = _records(self.paths[0])
        for path in self.paths[1:]:
            whole = whole.concatenate(_records(path))
        return (
            checked.only_pairs(whole).batch(_BATCH).map(self._parsed).unbatch()
        )

    def _parsed(self, records: Any) -> dict[str, Any]:
        feature = tf.io.FixedLenFeature((), tf.string, "")
        found = tf.io.parse_example(
            records, dict.fromkeys(self.fields, feature)
        )
        source, target = (found[name] for name in self.fields)
        return {"source": source, "target": target}

    def lines(self) -> Iterator[Line]:
        source, target = self.fields
        expected = f"an example with texts {source!r} and {target!r}"
        for path in self.paths:
            if not path.is_file():
                missing = FileNotFoundError(2, "No such file or directory")
                raise cannot_read(self.key, path, missing)
            number = 0
            batches = _records(path).batch(_BATCH).map(self._parsed)
            try:
                for batch in batches.as_numpy_iterator():
                    for pair in zip(
                        batch["source"], batch["target"], strict=True
                    ):
                        number += 1
                        place = f"{path}, record {number}"
                        whole = all(text.strip() for text in pair)
                        received = b" | ".join(pair)
                        yield Line(place, None if whole else expected, received)
            except (tf.errors.DataLossError, tf.errors.InvalidArgumentError):
                raise RecipeError(
                    f"{self.key}={str(path)!r}: damaged after record "
                    f"{number:,} or within the next {_BATCH:,}, or not a "
                    "TFRecord file of `tf.train.Example`"
                ) from None


def _records(path: Path) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(
        str(path), compression_type="GZIP" if is_gzipped(path) else None
    )
