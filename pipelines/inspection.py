"""What a model will eat: how much of it, how long, and how much is unknown."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from keras_recurrent.pipelines.build_vocabularies import (
    build_vocabularies,
)
from keras_recurrent.pipelines.files import check_writable, whole_file
from keras_recurrent.pipelines.plots import lengths_figure
from keras_recurrent.pipelines.recipe import Recipe
from keras_recurrent.pipelines.splits import load_splits, within_limits
from keras_recurrent.pipelines.training import (
    load_batches,
)
from keras_recurrent.pipelines.vocabulary import Vocabulary

_SIDES = ("source", "target")
_EXAMPLES = 10
# Share of lengths that are no longer than what is shown.
_QUANTILES = (0.5, 0.95, 1.0)


class Inspection(NamedTuple):
    """What there is in the data of a recipe."""

    vocabularies: tuple[Vocabulary, Vocabulary]
    lengths: dict[str, np.ndarray]
    """Tokens of source and target, (N, 2), by split."""
    unknown: dict[str, tuple[float, float]]
    """Shares of unknown tokens, by split."""
    padding: tuple[float, float]
    """Shares of positions of the training batches that are padding."""
    batches: int
    """In an epoch."""
    pairs_per_second: float
    """How fast batches are made, the first epoch."""
    examples: list[tuple[tuple[str, str], tuple[str, str]]]
    """Pairs: of source and of target the text, and what is left of it."""

    def tables(self) -> RenderableType:
        """For printing."""
        sizes = Table(title="Splits", min_width=70)
        for column in ("split", "pairs", "side", "tokens", "median", "95 %"):
            sizes.add_column(column, justify="right")
        sizes.add_column("longest", justify="right")
        sizes.add_column("unknown", justify="right")
        for split, lengths in self.lengths.items():
            for side, name in enumerate(_SIDES):
                quantiles = np.quantile(
                    lengths[:, side], _QUANTILES, method="inverted_cdf"
                )
                sizes.add_row(
                    split if side == 0 else "",
                    f"{len(lengths):,}" if side == 0 else "",
                    name,
                    f"{lengths[:, side].sum():,}",
                    *(f"{length:,}" for length in quantiles),
                    f"{self.unknown[split][side]:.2%}",
                )
        batches = Table(title="Training batches", min_width=70)
        batches.add_column("what")
        batches.add_column("value", justify="right")
        for name, vocabulary in zip(_SIDES, self.vocabularies, strict=True):
            batches.add_row(f"{name} vocabulary", f"{len(vocabulary):,}")
        for name, share in zip(_SIDES, self.padding, strict=True):
            batches.add_row(
                f"{name} positions that are padding", f"{share:.1%}"
            )
        batches.add_row("batches an epoch", f"{self.batches:,}")
        batches.add_row("pairs per second", f"{self.pairs_per_second:,.0f}")
        examples = Table(title="What becomes of some pairs", min_width=70)
        for column in ("", "text", "tokens"):
            examples.add_column(column)
        for pair in self.examples:
            for name, row in zip(_SIDES, pair, strict=True):
                last = name == _SIDES[-1]
                examples.add_row(name, *map(escape, row), end_section=last)
        return Group(sizes, batches, examples)


def inspect(recipe: Recipe, picture: Path) -> Inspection:
    """Read all data of a recipe as training would.

    Args:
        recipe: the recipe.
        picture: where a histogram of the lengths is written to.

    Raises:
        RecipeError: as `load_pairs`.
        OSError: nothing can be written there.
    """
    check_writable(picture.parent)
    splits = load_splits(recipe)
    vocabularies = build_vocabularies(recipe, splits.pairs["train"])
    splits, lengths = within_limits(recipe, vocabularies, splits)
    batches, _ = load_batches(
        recipe, vocabularies, recipe.training.seed, splits.pairs, lengths
    )
    began = time.perf_counter()
    cells, tokens, count = np.zeros(2), np.zeros(2), 0
    for inputs, labels in batches.as_numpy_iterator():
        for side, ids in enumerate((inputs["source"], labels)):
            cells[side] += ids.size
            tokens[side] += np.count_nonzero(ids)
        count += 1
    seconds = time.perf_counter() - began
    with whole_file(picture) as draft:
        lengths_figure(lengths["train"]).savefig(draft)
    source, target = 1 - tokens / cells
    return Inspection(
        vocabularies,
        lengths,
        {s: _unknown(p, vocabularies) for s, p in splits.pairs.items()},
        (float(source), float(target)),
        count,
        len(lengths["train"]) / seconds,
        _examples(splits.pairs["train"], vocabularies),
    )


def _unknown(
    pairs: tf.data.Dataset, vocabularies: tuple[Vocabulary, Vocabulary]
) -> tuple[float, float]:
    """Return the shares of tokens that are unknown."""
    found = np.zeros((2, 2), np.int64)
    for batch in pairs.batch(10_000):
        for side, vocabulary in enumerate(vocabularies):
            ids = vocabulary.encode(batch[_SIDES[side]]).flat_values.numpy()
            unknown = np.count_nonzero(vocabulary.is_unknown(ids))
            found[side] += unknown, len(ids)
    source, target = found[:, 0] / np.maximum(found[:, 1], 1)
    return float(source), float(target)


def _examples(
    pairs: tf.data.Dataset, vocabularies: tuple[Vocabulary, Vocabulary]
) -> Any:
    """Return the first pairs, and their tokens separated by spaces."""
    batch: Any = next(iter(pairs.batch(_EXAMPLES)))
    sides = []
    for side, vocabulary in zip(_SIDES, vocabularies, strict=True):
        texts = batch[side]
        tokens = vocabulary.decode_tokens(vocabulary.encode(texts).to_tensor())
        sides.append(
            [
                (text.decode(), b" ".join(filter(None, row)).decode())
                for text, row in zip(texts.numpy(), tokens.numpy(), strict=True)
            ]
        )
    return list(zip(*sides, strict=True))
