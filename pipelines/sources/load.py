"""The pairs that a recipe names."""

import tensorflow as tf

from keras_recurrent.pipelines.recipe import (
    DataConfig,
    FileSpec,
    OriginConfig,
    ParallelFiles,
    kind_of_file,
)
from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.sources.dataset import Dataset
from keras_recurrent.pipelines.sources.file_source import FileSource
from keras_recurrent.pipelines.sources.files import found
from keras_recurrent.pipelines.sources.json_lines import JsonLines
from keras_recurrent.pipelines.sources.mixture import Mixture
from keras_recurrent.pipelines.sources.parallel import Parallel
from keras_recurrent.pipelines.sources.records import Records
from keras_recurrent.pipelines.sources.source import Source
from keras_recurrent.pipelines.sources.tab_separated import TabSeparated

_KINDS: dict[str, type[FileSource]] = {
    "json": JsonLines,
    "tfrecord": Records,
    "tab-separated": TabSeparated,
}


def load_pairs(data: DataConfig, split: str) -> tf.data.Dataset:
    """Return the pairs of a split, in a fixed order.

    Files are checked from the first to the last line before the first pair is
    returned.

    Args:
        data: the recipe's section.
        split: `"train"`, `"validation"`, `"test"`, or a name of `data.tests`.

    Returns:
        A dataset of `{"source": string, "target": string}` with a known
        cardinality.

    Raises:
        RecipeError: no such dataset, split, feature or file; a malformed line;
            no pairs.
    """
    return source_of(data, split).pairs()


def fingerprint(data: DataConfig, split: str) -> str:
    """Name what tells whether a split still has the same pairs.

    Of files the sizes and the contents; of a dataset the version, and the
    size of the split.

    Args:
        data: the recipe's section.
        split: as in `load_pairs`.

    Raises:
        RecipeError: as `load_pairs`.
    """
    return source_of(data, split).fingerprint()


def source_of(data: DataConfig, split: str) -> Source:
    """Return where the pairs of a split come from.

    Raises:
        RecipeError: there are no such files, or they are of several kinds.
    """
    if split in data.tests:
        key = f"data.tests.{split}"
        return source_of_files(data, data.tests[split], key, data.malformed)
    if split == "train" and data.more:
        return Mixture(parts_of(data))
    return _own_source(data, split)


def parts_of(data: DataConfig) -> list[tuple[Source, int]]:
    """Return where training pairs come from, with the weights of the sources.

    Raises:
        RecipeError: as `source_of`.
    """
    parts = [(_own_source(data, "train"), data.weight)]
    for number, more in enumerate(data.more):
        if more.files is None:
            source: Source = Dataset(more, "train", more.split)
        else:
            source = source_of_files(
                more, more.files, f"data.more[{number}].files", data.malformed
            )
        parts.append((source, more.weight))
    return parts


def _own_source(data: DataConfig, split: str) -> Source:
    if data.files is None:
        return Dataset(data, split, getattr(data.splits, split))
    files = getattr(data.files, split)
    return source_of_files(data, files, f"data.files.{split}", data.malformed)


def source_of_files(
    origin: OriginConfig, files: FileSpec, key: str, malformed: str
) -> Source:
    """Return the kind of source that some files are.

    Args:
        origin: a section of the recipe, for the names of fields.
        files: the files.
        key: what names them, for errors.
        malformed: what to do with lines that are no pair, `stop` or `skip`.

    Raises:
        RecipeError: there are none, or they are of several kinds.
    """
    skip = malformed == "skip"
    if isinstance(files, ParallelFiles):
        sources = found(files.source, f"{key}.source")
        targets = found(files.target, f"{key}.target")
        return Parallel(sources, targets, key, skip)
    paths = found(files, key)
    kinds = {_KINDS[kind_of_file(path)] for path in paths}
    if len(kinds) > 1:
        names = ", ".join(sorted(kind.kind for kind in kinds))
        raise RecipeError(
            f"{key}: expected files of one kind. Received: {names}"
        )
    fields = (origin.source or "source", origin.target or "target")
    (kind,) = kinds
    return kind(paths, key, skip, fields)


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
