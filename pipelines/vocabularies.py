"""The vocabularies of a recipe and of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_recurrent.pipelines.factored_vocabulary import (
    FactoredVocabulary,
    PartedFactoredVocabulary,
)
from keras_recurrent.pipelines.parted_vocabulary import PartedVocabulary
from keras_recurrent.pipelines.recipe import Recipe, VocabularyConfig
from keras_recurrent.pipelines.run import Run, RunError
from keras_recurrent.pipelines.vocabulary import Vocabulary, read_tokens


def vocabulary_of(
    tokens: Sequence[str], config: VocabularyConfig
) -> Vocabulary:
    """Make a vocabulary of these tokens, as a recipe has it.

    Raises:
        ValueError: as `Vocabulary`.
    """
    return Vocabulary(
        tokens, config.split, config.case, config.normalize, config.unknowns
    )


def source_vocabulary(
    tokens: Sequence[str],
    second: Sequence[str] | None,
    features: Sequence[Sequence[str]],
    recipe: Recipe,
) -> Vocabulary:
    """Make that of sources, which knows those of second sources and features.

    Args:
        tokens: of sources.
        second: tokens of second sources, if there are any.
        features: what there is of each feature of tokens, if they have some.
        recipe: the recipe.

    Raises:
        ValueError: as `Vocabulary`.
    """
    config, other = recipe.source, recipe.second_source
    kind: type[Vocabulary] = Vocabulary
    more: dict[str, Any] = {}
    if recipe.features is not None:
        kind = FactoredVocabulary
        more["features"] = [Vocabulary(names, "words") for names in features]
        more["feature_separator"] = recipe.features.separator
    if second is not None and other is not None:
        kind = PartedFactoredVocabulary if more else PartedVocabulary
        more["second"] = vocabulary_of(second, other)
        more["separator"] = other.separator
    return kind(
        tokens,
        config.split,
        config.case,
        config.normalize,
        config.unknowns,
        **more,
    )


def load_vocabularies(run: Run) -> tuple[Vocabulary, Vocabulary]:
    """Read the vocabularies, of sources and of targets, that a run keeps.

    Raises:
        RunError: one of them is missing or damaged.
    """
    second = None
    if run.recipe.second_source is not None:
        second = _read(run.second_vocabulary)
    features = [_read(path) for path in run.feature_vocabularies]
    try:
        path = run.source_vocabulary
        source = source_vocabulary(_read(path), second, features, run.recipe)
        path = run.target_vocabulary
        return source, vocabulary_of(_read(path), run.recipe.target)
    except ValueError as error:
        raise RunError(f"{path}: damaged: {error}") from None


def _read(path: Path) -> list[str]:
    try:
        return read_tokens(path)
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise RunError(f"{path}: damaged: {error}") from None
