"""Pairs of texts, from TensorFlow datasets or tab-separated files."""

import difflib
import io
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from itertools import islice
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

# Importing it makes `cmudict` known to TensorFlow Datasets.
import keras_recurrent.pipelines.cmudict.builder  # noqa: F401
from keras_recurrent.pipelines.files import digest
from keras_recurrent.pipelines.recipe import DataConfig
from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.text_lines import (
    is_blank,
    malformed,
    read_lines,
)

# Data up to this size stays in memory after the first epoch.
_CACHE_BYTES = 2**28


def load_pairs(data: DataConfig, split: str) -> tf.data.Dataset:
    """Return the pairs of a split, in a fixed order.

    A dataset is downloaded and prepared when it is used for the first time.
    Of a tab-separated file (`text_lines` says what that is) every line is
    checked before the first is returned: two columns or more (all from the
    third on are ignored), neither of them blank. Blank lines are skipped.

    Args:
        data: the recipe's section.
        split: `"train"`, `"validation"` or `"test"`.

    Returns:
        A dataset of `{"source": string, "target": string}` with a known
        cardinality.

    Raises:
        RecipeError: no such dataset, split, feature or file; a malformed line.
    """
    if data.files is not None:
        return _load_file(getattr(data.files, split), f"data.files.{split}")
    return _load_dataset(data, split)


def fingerprint(data: DataConfig, split: str) -> str:
    """Name what tells whether a split still has the same pairs.

    Of a file the size and the contents; of a dataset the version, and the
    size of the split.

    Args:
        data: the recipe's section.
        split: `"train"`, `"validation"` or `"test"`.

    Raises:
        RecipeError: as `load_pairs`.
    """
    if data.files is None:
        builder = _builder(data)
        sizes = _split_info(data, builder, split)
        return (
            f"{builder.info.full_name}, {sizes.num_examples:,} examples, "
            f"{sizes.num_bytes:,} bytes"
        )
    path = getattr(data.files, split)
    try:
        return digest(path)
    except OSError as error:
        raise _cannot_read(f"data.files.{split}", path, error) from None


def place_of(data: DataConfig, split: str, index: int) -> str:
    """Say where the pair of this index, from 0, is to be found."""
    if data.files is None:
        return f"{data.dataset}, {split} example {index + 1}"
    path = getattr(data.files, split)
    return f"{path}, line {next(islice(_pair_lines(path), index, None))}"


def read_texts(pairs: tf.data.Dataset) -> dict[str, list[str]]:
    """Read all pairs into two lists, `source` and `target`."""
    texts: dict[str, list[str]] = {"source": [], "target": []}
    for batch in pairs.batch(10_000).as_numpy_iterator():
        for side, values in batch.items():
            texts[side] += [v.decode("utf-8", "replace") for v in values]
    return texts


def group_references(pairs: tf.data.Dataset) -> dict[str, list[str]]:
    """Map each different source to its different targets, in their order."""
    texts = read_texts(pairs)
    references: dict[str, dict[str, None]] = {}
    for source, target in zip(texts["source"], texts["target"], strict=True):
        references.setdefault(source, {})[target] = None
    return {source: list(targets) for source, targets in references.items()}


def _load_dataset(data: DataConfig, split: str) -> tf.data.Dataset:
    builder = _builder(data)
    small = _split_info(data, builder, split).num_bytes <= _CACHE_BYTES
    pairs = builder.as_dataset(
        split=split,
        shuffle_files=False,
        # Cached below instead, without the other features.
        read_config=tfds.ReadConfig(try_autocache=False),
    ).map(
        lambda example: {
            "source": example[data.source],
            "target": example[data.target],
        }
    )
    return pairs.cache() if small else pairs


def _split_info(data: DataConfig, builder: Any, split: str) -> Any:
    splits = builder.info.splits
    if split not in splits:
        raise RecipeError(
            f"data.dataset={data.dataset!r}: no split {split!r}. "
            f"Its splits: {', '.join(splits)}"
        )
    if not splits[split].num_examples:
        raise RecipeError(
            f"data.dataset={data.dataset!r}: the split {split!r} is empty"
        )
    return splits[split]


def _builder(data: DataConfig) -> Any:
    """Return the prepared builder of `data.dataset`, its features checked."""
    name = data.dataset or ""
    try:
        builder = tfds.builder(name, data_dir=data.directory)
    except tfds.core.DatasetNotFoundError:
        close = difflib.get_close_matches(name, tfds.list_builders(), n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise RecipeError(
            f"data.dataset={name!r}: no such dataset.{hint}"
        ) from None
    except (ImportError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise RecipeError(f"data.dataset={name!r}: {reason}") from None
    for side, feature in (("source", data.source), ("target", data.target)):
        known = builder.info.features
        if feature not in known or not _is_text(known[feature]):
            texts = sorted(key for key in known if _is_text(known[key]))
            raise RecipeError(
                f"data.{side}={feature!r}: dataset {name!r} has no such text "
                f"feature. Its text features: {', '.join(texts)}"
            )
    with ExitStack() as stack:
        if builder.name == "cmudict":  # takes seconds: no need for progress
            stack.enter_context(redirect_stdout(io.StringIO()))
            stack.enter_context(redirect_stderr(io.StringIO()))
        try:
            builder.download_and_prepare()
        except OSError as error:  # no network, no space, no permission
            reason = " ".join(str(error).split())
            raise RecipeError(
                f"data.dataset={name!r}: cannot be prepared in "
                f"{builder.data_dir}: {reason}"
            ) from error
    return builder


def _is_text(feature: Any) -> bool:
    return feature.shape == () and feature.tf_dtype == tf.string


def _load_file(path: Path, key: str) -> tf.data.Dataset:
    count = _check_file(path, key)
    pairs = (
        tf.data.TextLineDataset(str(path))
        .batch(1024)  # splitting many lines at once is much faster
        .map(_split_columns)
        .unbatch()
        .apply(tf.data.experimental.assert_cardinality(count))
    )
    return pairs.cache() if path.stat().st_size <= _CACHE_BYTES else pairs


def _split_columns(lines: tf.Tensor) -> dict[str, tf.Tensor]:
    lines = tf.strings.regex_replace(lines, "^\ufeff", "")
    lines = tf.boolean_mask(lines, tf.strings.strip(lines) != "")
    columns = tf.strings.split(lines, "\t")[:, :2].to_tensor(shape=(None, 2))
    return {"source": columns[:, 0], "target": columns[:, 1]}


def _check_file(path: Path, key: str) -> int:
    """Return the number of pairs in the file."""
    try:
        count = sum(1 for _ in _pair_lines(path))
    except OSError as error:
        raise _cannot_read(key, path, error) from None
    if not count:
        raise RecipeError(f"{key}={str(path)!r}: the file has no pairs")
    return count


def _cannot_read(key: str, path: Path, error: OSError) -> RecipeError:
    return RecipeError(f"{key}={str(path)!r}: {error.strerror}")


def _pair_lines(path: Path) -> Iterator[int]:
    """Yield the number of each line with a pair; check all lines."""
    with path.open("rb") as file:
        for number, line in read_lines(file, f"{path}, line"):
            if is_blank(line):
                continue
            columns = line.split("\t")[:2]
            if len(columns) < 2 or not all(
                column.strip() for column in columns
            ):
                expected = "a source, a tab and a target"
                place = f"{path}, line {number}"
                raise malformed(place, expected, line.encode())
            yield number
