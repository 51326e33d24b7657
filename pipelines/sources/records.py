"""Pairs in TFRecord files, an example each."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.sources.checked import (
    Line,
    check,
    place_of_pair,
)
from keras_recurrent.pipelines.sources.files import (
    cached_if_small,
    cannot_read,
    fingerprint_of,
    is_gzipped,
    name_of,
)

_BATCH = 1024


class Records:
    """TFRecord files of `tf.train.Example`, plain or gzipped.

    Args:
        paths: The files, read one after the other.
        source: The name of the bytes feature that is the source.
        target: The name of the one that is the target.
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
        name = name_of(self.key, self.paths)
        checked = check(self._lines(), name, self.skip_malformed)
        whole = _records(self.paths[0])
        for path in self.paths[1:]:
            whole = whole.concatenate(_records(path))
        pairs = checked.only_pairs(whole).batch(_BATCH).map(self._parsed)
        pairs = pairs.unbatch().apply(
            tf.data.experimental.assert_cardinality(checked.pairs)
        )
        return cached_if_small(pairs, self.paths)

    def fingerprint(self) -> str:
        return fingerprint_of(self.paths, self.key)

    def place(self, index: int) -> str:
        return place_of_pair(self._lines(), index)

    def _parsed(self, records: Any) -> dict[str, Any]:
        feature = tf.io.FixedLenFeature((), tf.string, "")
        found = tf.io.parse_example(records, dict.fromkeys(self.names, feature))
        source, target = (found[name] for name in self.names)
        return {"source": source, "target": target}

    def _lines(self) -> Iterator[Line]:
        source, target = self.names
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
