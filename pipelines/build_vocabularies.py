"""The vocabularies that training texts ask for."""

import tensorflow as tf

from keras_recurrent.pipelines.feature_counts import FeatureCounts
from keras_recurrent.pipelines.origin import say
from keras_recurrent.pipelines.parted_vocabulary import cut_in_two
from keras_recurrent.pipelines.recipe import Recipe, VocabularyConfig
from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.text.counting import TokenCounts
from keras_recurrent.pipelines.text.splitting import Splitter
from keras_recurrent.pipelines.vocabularies import (
    source_vocabulary,
    vocabulary_of,
)
from keras_recurrent.pipelines.vocabulary import Vocabulary, tokens_of


def build_vocabularies(
    recipe: Recipe, pairs: tf.data.Dataset
) -> tuple[Vocabulary, Vocabulary]:
    """Number the tokens of sources and of targets.

    Memory does not grow with the number of pairs; see `TokenCounts`.

    Args:
        recipe: says how texts become tokens.
        pairs: those for training, from `load_splits`.

    Raises:
        RecipeError: no token occurs often enough, or none has a feature.
    """
    second, joint = recipe.second_source, recipe.joint_vocabulary
    configs: dict[str, VocabularyConfig] = {"source": recipe.source}
    if not joint:
        configs["target"] = recipe.target
    if second is not None:
        configs["second_source"] = second
    splitters = {
        name: Splitter(config.split, config.case, config.normalize)
        for name, config in configs.items()
    }
    counts = {name: TokenCounts() for name in configs}
    features = FeatureCounts(recipe.features) if recipe.features else None
    alone = 0
    for batch in pairs.batch(10_000):
        texts = dict(batch)
        if second is not None:
            both = cut_in_two(texts["source"], second.separator)
            texts["source"], texts["second_source"] = both
            alone += int(tf.math.count_nonzero(both[1] == ""))
        if features is not None:
            texts["source"] = features.add(texts["source"])
        for side, of_side in texts.items():
            name = "source" if joint and side == "target" else side
            counts[name].add(splitters[name](of_side).flat_values)
    tokens = {
        name: _tokens(name, counts[name], config)
        for name, config in configs.items()
    }
    if alone:
        say(f"{alone:,} training sources have no second_source behind them")
    source = source_vocabulary(
        tokens["source"],
        tokens.get("second_source"),
        features.most_common() if features is not None else [],
        recipe,
    )
    if joint:
        return source, vocabulary_of(tokens["source"], recipe.target)
    return source, vocabulary_of(tokens["target"], recipe.target)


def _tokens(
    side: str, counts: TokenCounts, config: VocabularyConfig
) -> list[str]:
    if counts.forgotten:
        say(
            "There were too many different tokens to count all; "
            f"{counts.forgotten:,} that had occurred once were forgotten"
        )
    tokens = tokens_of(counts, config.split, config.max_size, config.min_count)
    if not tokens:
        raise RecipeError(
            f"{side}: no token of the training texts occurs so often as "
            f"{side}.min_count={config.min_count} times"
        )
    return tokens
