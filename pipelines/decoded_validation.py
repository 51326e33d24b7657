"""Validation by what a model writes, after each epoch of training."""

from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.pipelines.hypotheses import hypotheses_in_order
from keras_recurrent.pipelines.measures import Outputs, get_measure
from keras_recurrent.pipelines.moving_average import averages_in_place
from keras_recurrent.pipelines.predictor import Predictor
from keras_recurrent.pipelines.recipe import Recipe
from keras_recurrent.pipelines.sources import group_references
from keras_recurrent.pipelines.vocabulary import Vocabulary


class DecodeValidation(keras.callbacks.Callback):
    """Decodes the validation sources, and measures what comes out.

    As `evaluate` would, with the decoding of the recipe; with the moving
    averages of the weights, if there are some. The value is among
    what other callbacks get of the epoch, those behind this one.

    Args:
        recipe: Its `training.best_by` names the measure.
        vocabularies: Of sources and of targets.
        pairs: Those for validation.
    """

    def __init__(
        self,
        recipe: Recipe,
        vocabularies: tuple[Vocabulary, Vocabulary],
        pairs: tf.data.Dataset,
    ) -> None:
        super().__init__()
        config = recipe.evaluation
        self.name = recipe.training.best_by
        self.measure = get_measure(self.name, config)
        self.decoding = recipe.decoding
        self.vocabularies = vocabularies
        self.references = group_references(pairs)
        self.sources = list(self.references)[: config.max_examples]
        self.predictor: Predictor | None = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.predictor is None:
            self.predictor = Predictor(
                self.model, *self.vocabularies, self.decoding
            )
        with averages_in_place(self.model):
            found = list(hypotheses_in_order(self.predictor, self.sources))
        _, target = self.vocabularies
        outputs = Outputs(
            [one["hypotheses"][0]["text"] for _, one in found],
            [self.references[source] for source in self.sources],
            target.words,
        )
        measured = self.measure.measure(outputs, resamples=0)
        logs[f"val_{self.name}"] = measured.value
        print(f"Validation: {measured.name} {measured.text()}", flush=True)
