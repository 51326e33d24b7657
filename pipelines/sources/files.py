"""Files that pairs are read from, plain or gzipped."""

import codecs
import glob
import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_recurrent.pipelines.files import digest
from keras_recurrent.pipelines.recipe_file import RecipeError

# Data up to this size stays in memory after the first epoch, where it takes
# about five times as much.
CACHE_BYTES = 2**25

_PATTERN = frozenset("*?[")
# How many times larger texts are than what they are compressed to.
_COMPRESSION = 4


def found(paths: Path | Sequence[Path], key: str) -> list[Path]:
    """Return the files that are meant, those of a pattern by name.

    Args:
        paths: A file, a pattern such as `data/*.tsv`, or a list of such.
        key: Of the recipe, for errors.

    Raises:
        RecipeError: no file is like a pattern.
    """
    files: list[Path] = []
    for path in [paths] if isinstance(paths, Path) else paths:
        if path.exists() or not _PATTERN & set(str(path)):
            files.append(path)
            continue
        matching = sorted(glob.glob(str(path), recursive=True))
        if not matching:
            raise RecipeError(f"{key}={str(path)!r}: no file is like that")
        files += map(Path, matching)
    return files


def name_of(key: str, paths: Sequence[Path]) -> str:
    """Return what files are called in errors."""
    return f"{key}={', '.join(repr(str(path)) for path in paths)}"


def is_gzipped(path: Path) -> bool:
    return path.suffix == ".gz"


def lines_of(path: Path, key: str) -> Iterator[tuple[int, bytes]]:
    """Yield the number, from 1, and the bytes of each line of a file.

    Raises:
        RecipeError: it cannot be read, or a gzipped file is damaged.
    """
    number = 0
    try:
        with gzip.open(path) if is_gzipped(path) else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield number, line
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise RecipeError(
            f"{key}={str(path)!r}: damaged, the gzipped data ends or breaks "
            f"off after line {number:,}"
        ) from None
    except OSError as error:
        raise cannot_read(key, path, error) from None


def text_lines(paths: Iterable[Path]) -> tf.data.Dataset:
    """Return the lines of files, one file after the other.

    Without the byte order marks that files begin with.
    """
    datasets = list(map(_lines, paths))
    whole = datasets[0]
    for dataset in datasets[1:]:
        whole = whole.concatenate(dataset)
    return whole


def _lines(path: Path) -> Any:
    lines = tf.data.TextLineDataset(
        str(path), compression_type="GZIP" if is_gzipped(path) else None
    )
    with gzip.open(path) if is_gzipped(path) else path.open("rb") as file:
        marked = file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
    if not marked:
        return lines
    # Only where it is needed: a function of each line would take 20 times as
    # long as reading it.
    first = lines.take(1).map(
        lambda line: tf.strings.regex_replace(line, "^\ufeff", "")
    )
    return first.concatenate(lines.skip(1))


def cached_if_small(
    pairs: tf.data.Dataset, paths: Iterable[Path]
) -> tf.data.Dataset:
    """Keep the pairs of small files in memory after the first epoch."""
    size = sum(
        path.stat().st_size * (_COMPRESSION if is_gzipped(path) else 1)
        for path in paths
    )
    return pairs.cache() if size <= CACHE_BYTES else pairs


def fingerprint_of(paths: Iterable[Path], key: str) -> str:
    """Name the size and the contents of files.

    Raises:
        RecipeError: one cannot be read.
    """
    found = []
    for path in paths:
        try:
            found.append(digest(path))
        except OSError as error:
            raise cannot_read(key, path, error) from None
    return "; ".join(found)


def cannot_read(key: str, path: Path, error: OSError) -> RecipeError:
    return RecipeError(f"{key}={str(path)!r}: {error.strerror}")
