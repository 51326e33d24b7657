"""Pairs that occur twice, or whose sources are evaluated on as well."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_recurrent.pipelines.origin import say
from keras_recurrent.pipelines.recipe import DataConfig
from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.sources import Selected, Source, source_of

_BUCKETS = 2**62


def screened(
    data: DataConfig, parts: list[tuple[Source, int]], validation: Source
) -> list[tuple[Source, int]]:
    """Say which training pairs are doubtful, and leave them out if asked to.

    Pairs that have occurred before, in the same part or in one before it; and
    those whose source is in validation or a test set, too. Texts are compared
    as they are, by a hash of 62 bits.

    Args:
        data: the recipe's section; `duplicates` and `overlap` say what to do.
        parts: the sources of training pairs, with their weights.
        validation: the source of those for validation.

    Returns:
        The parts, with what is left of the sources.

    Raises:
        RecipeError: there are some, and the recipe says to stop; or pairs for
            training or validation cannot be read.
    """
    evaluated = {"validation": _sources(validation)}
    for name in ("test", *data.tests):
        try:
            evaluated[name] = _sources(source_of(data, name))
        except RecipeError as error:
            # Training needs it not; evaluation will say the same.
            say(f"{name}: not compared with the training pairs: {error}")
    hashes: list[np.ndarray] = []
    overlap: dict[str, list[np.ndarray]] = {name: [] for name in evaluated}
    sizes = np.zeros(len(parts), np.int64)
    for part, (source, _) in enumerate(parts):
        for sources, pairs in _hashes(source.pairs()):
            first = sizes.sum()
            for name, others in evaluated.items():
                found = np.flatnonzero(np.isin(sources, others))
                overlap[name].append(first + found)
            hashes.append(pairs)
            sizes[part] += len(pairs)
    ends = sizes.cumsum()
    skipped: Any = np.zeros(0, np.int64)

    def report(indexes: np.ndarray, what: str, key: str) -> None:
        nonlocal skipped
        if not len(indexes):
            return
        action = getattr(data, key)
        part = int(np.searchsorted(ends, indexes[0], side="right"))
        place = parts[part][0].place(int(indexes[0] - ends[part] + sizes[part]))
        text = (
            f"{len(indexes):,} of {ends[-1]:,} training pairs {what} (first: "
            f"{place})"
        )
        if action == "stop":
            raise RecipeError(
                f"{text}; data.{key}=skip leaves them out, keep keeps them"
            )
        if action == "skip":
            skipped = np.union1d(skipped, indexes)
            say(f"{text}: left out (data.{key}=skip)")
        else:
            say(f"{text}: kept; data.{key}=skip leaves them out")

    report(_repeated(hashes), "have occurred before", "duplicates")
    for name, indexes in overlap.items():
        report(
            np.concatenate([np.zeros(0, np.int64), *indexes]),
            f"have a source that is in {name} too",
            "overlap",
        )
    return [
        (_left(source, skipped, end - size, end), weight)
        for (source, weight), size, end in zip(parts, sizes, ends, strict=True)
    ]


def _left(source: Source, skipped: np.ndarray, start: int, end: int) -> Source:
    inside = skipped[(skipped >= start) & (skipped < end)] - start
    return Selected(source, inside) if len(inside) else source


def _sources(source: Source) -> np.ndarray:
    """Return the hashes of the sources of all pairs, (N,)."""
    return np.concatenate([texts for texts, _ in _hashes(source.pairs())])


def _hashes(pairs: Any) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Yield the hashes of sources and of pairs, (B,) each."""

    def hashed(batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        both = tf.strings.join([batch["source"], batch["target"]], "\t")
        to_hash = tf.strings.to_hash_bucket_fast
        return to_hash(batch["source"], _BUCKETS), to_hash(both, _BUCKETS)

    return pairs.batch(10_000).map(hashed).as_numpy_iterator()


def _repeated(chunks: list[np.ndarray]) -> np.ndarray:
    """Return the indexes of the hashes that have occurred before."""
    ordered = np.sort(np.concatenate(chunks))
    several = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered  # it is as large as the chunks
    found, seen, start = [], set(), 0
    for chunk in chunks:
        # Those few that occur more than once, but for the first time.
        for number in np.flatnonzero(np.isin(chunk, several)):
            if chunk[number] in seen:
                found.append(start + number)
            seen.add(chunk[number])
        start += len(chunk)
    return np.array(found, np.int64)
