"""How often each feature occurs, and which tokens have not as many."""

from typing import Any

import tensorflow as tf

from keras_recurrent.pipelines.factored_vocabulary import cut_off_features
from keras_recurrent.pipelines.origin import say
from keras_recurrent.pipelines.recipe import FeaturesConfig
from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.text.counting import TokenCounts


class FeatureCounts:
    """The counts of features, given batch by batch.

    Args:
        config: says how features are told from tokens.
    """

    def __init__(self, config: FeaturesConfig) -> None:
        self.config = config
        self.counts = {name: TokenCounts() for name in config.names}
        self.tokens = 0
        self.wrong = 0
        self.first_wrong = ""

    def add(self, texts: Any) -> tf.Tensor:
        """Count the features in texts (B,); return what is before them (W,)."""
        words, features, is_right = cut_off_features(
            texts, self.config.separator, len(self.counts)
        )
        columns = tf.unstack(features, axis=1)
        for counts, column in zip(self.counts.values(), columns, strict=True):
            counts.add(tf.boolean_mask(column, column != ""))
        self.tokens += len(is_right)
        wrong = tf.boolean_mask(tf.strings.split(texts).flat_values, ~is_right)
        if not self.wrong and len(wrong):
            self.first_wrong = wrong[0].numpy().decode("utf-8", "replace")
        self.wrong += len(wrong)
        return words.flat_values

    def most_common(self) -> list[list[str]]:
        """Return those of each feature, and say if tokens have not as many.

        Raises:
            RecipeError: there are none of a feature.
        """
        names, separator = self.config.names, self.config.separator
        if self.wrong:
            say(
                f"{self.wrong:,} of {self.tokens:,} training source tokens "
                f"have more or fewer features than {', '.join(names)} behind "
                f"{separator!r} (first: {self.first_wrong!r}): unknown ones "
                "are read instead"
            )
        found = {
            name: counts.most_common() for name, counts in self.counts.items()
        }
        for name, features in found.items():
            if not features:
                raise RecipeError(
                    f"features.names: no token of the training sources has a "
                    f"{name}, as feature {names.index(name) + 1} of "
                    f"{len(names)} behind features.separator={separator!r}"
                )
        return list(found.values())
