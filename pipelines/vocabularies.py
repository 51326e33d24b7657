"""The vocabularies of a recipe and of a run."""

from collections.abc import Sequence
from pathlib import Path

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
    tokens: Sequence[str], second: Sequence[str] | None, recipe: Recipe
) -> Vocabulary:
    """Make that of sources, which knows that of second sources.

    Args:
        tokens: of sources.
        second: tokens of second sources, if there are any.
        recipe: the recipe.

    Raises:
        ValueError: as `Vocabulary`.
    """
    config, other = recipe.source, recipe.second_source
    if second is None or other is None:
        return vocabulary_of(tokens, config)
    return PartedVocabulary(
        tokens,
        config.split,
        config.case,
        config.normalize,
        config.unknowns,
        second=vocabulary_of(second, other),
        separator=other.separator,
    )


def load_vocabularies(run: Run) -> tuple[Vocabulary, Vocabulary]:
    """Read the vocabularies, of sources and of targets, that a run keeps.

    Raises:
        RunError: one of them is missing or damaged.
    """
    second = None
    if run.recipe.second_source is not None:
        second = _read(run.second_vocabulary)
    try:
        path = run.source_vocabulary
        source = source_vocabulary(_read(path), second, run.recipe)
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
