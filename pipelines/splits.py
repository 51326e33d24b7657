"""What is trained on and validated on, without what the recipe leaves out."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_recurrent.pipelines.lengths import example_lengths, length_warnings
from keras_recurrent.pipelines.origin import say
from keras_recurrent.pipelines.recipe import Recipe
from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.screening import screened
from keras_recurrent.pipelines.sources import (
    Mixture,
    Selected,
    Source,
    parts_of,
    source_of,
)
from keras_recurrent.pipelines.vocabulary import Vocabulary


class Splits(NamedTuple):
    """The pairs for training and those for validation, by name."""

    sources: dict[str, Source]
    pairs: dict[str, tf.data.Dataset]

    @property
    def left_out(self) -> int:
        """How many pairs or lines training does without."""
        return self.sources["train"].left_out


def load_splits(recipe: Recipe) -> Splits:
    """Read what a recipe names, and say on stderr what of it is doubtful.

    Raises:
        RecipeError: as `load_pairs` and `screened`.
    """
    data = recipe.data
    validation = source_of(data, "validation")
    parts = screened(data, parts_of(data), validation)
    train = parts[0][0] if len(parts) == 1 else Mixture(parts)
    sources = {"train": train, "validation": validation}
    return _opened(sources, recipe.training.max_examples)


def within_limits(
    recipe: Recipe,
    vocabularies: tuple[Vocabulary, Vocabulary],
    splits: Splits,
) -> tuple[Splits, dict[str, np.ndarray]]:
    """Leave out training pairs of too many tokens, and warn of other lengths.

    Args:
        recipe: its `training.max_length` says what is too long.
        vocabularies: of sources and of targets; they split the texts.
        splits: from `load_splits`.

    Returns:
        What is left, and its lengths by split, see `example_lengths`.

    Raises:
        RecipeError: all training pairs are too long.
    """
    lengths = {
        split: example_lengths(pairs, vocabularies)
        for split, pairs in splits.pairs.items()
    }
    limit = recipe.training.max_length
    too_long = np.zeros(0, np.int64)
    if limit is not None:
        too_long = np.flatnonzero(lengths["train"].max(axis=1) > limit)
    if len(too_long):
        source = splits.sources["train"]
        text = (
            f"{len(too_long):,} of {len(lengths['train']):,} training pairs "
            f"have more than training.max_length={limit} tokens on a side "
            f"(first: {source.place(int(too_long[0]))})"
        )
        if len(too_long) == len(lengths["train"]):
            raise RecipeError(f"{text}: nothing is left")
        say(f"{text}: left out")
        lengths["train"] = np.delete(lengths["train"], too_long, axis=0)
        sources = {**splits.sources, "train": Selected(source, too_long)}
        splits = _opened(sources, len(lengths["train"]))
    for warning in length_warnings(recipe, splits.sources, lengths):
        say(f"Warning: {warning}")
    return splits, lengths


def _opened(sources: dict[str, Source], limit: int | None) -> Splits:
    pairs = {split: source.pairs() for split, source in sources.items()}
    if limit is not None:
        pairs["train"] = pairs["train"].take(limit)
    return Splits(sources, pairs)
