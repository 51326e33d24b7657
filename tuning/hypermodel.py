"""How one choice of hyperparameters is built and trained."""

import sys
import time
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner as kt
import tensorflow as tf

from keras_recurrent.models import Seq2Seq
from keras_recurrent.pipelines.building import build_model, compile_model
from keras_recurrent.pipelines.moving_average import ValidateAverages
from keras_recurrent.pipelines.recipe import Recipe
from keras_recurrent.tuning.kept_files import stopping_search
from keras_recurrent.tuning.space import space


class Seq2SeqHyperModel(kt.HyperModel):
    """Builds, compiles and fits the model that `space` describes.

    Args:
        recipe: What is searched and what is fixed.
        sizes: Of the vocabularies, see `build_model`.
        epoch: What `training_batches` has as the number of the epoch.
        batches: How many the longest trial is trained on, None if unknown.
    """

    def __init__(
        self,
        recipe: Recipe,
        sizes: Sequence[Any],
        epoch: tf.Variable,
        batches: int | None = None,
    ) -> None:
        super().__init__()
        self.epoch = epoch
        self.recipe = recipe
        self.sizes = sizes
        self.batches = batches

    def build(self, hp: kt.HyperParameters) -> Seq2Seq:
        chosen = space(hp, self.recipe)
        # Each trial the same, whether or not the search was interrupted.
        keras.utils.set_random_seed(chosen.training.seed)
        model = build_model(chosen.model, *self.sizes)
        compile_model(model, chosen.training, self.batches)
        # Hyperband goes on with the weights of both in a new model.
        model.optimizer.build(model.trainable_variables)
        return model

    def fit(
        self, hp: kt.HyperParameters, model: Seq2Seq, *args: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        values = (f"{key}={value}" for key, value in hp.values.items())
        print("Trying", ", ".join(values), flush=True)
        began = time.perf_counter()
        # A progress bar on a terminal, a line per epoch elsewhere.
        kwargs["verbose"] = 1 if sys.stdout.isatty() else 2
        callbacks = [*kwargs.get("callbacks", ()), ValidateAverages()]
        if kwargs.get("steps_per_epoch") is None:
            # Else passes over the data begin at other times, before their use.
            callbacks.append(
                keras.callbacks.LambdaCallback(
                    on_epoch_begin=lambda epoch, _: self.epoch.assign(epoch)
                )
            )
        kwargs["callbacks"] = callbacks
        with stopping_search():
            history = model.fit(*args, **kwargs)
        # As metrics, KerasTuner keeps these two with the trial.
        seconds = time.perf_counter() - began
        epochs = len(history.epoch)
        history.history["seconds"] = [seconds] * epochs
        history.history["parameters"] = [model.count_params()] * epochs
        return history
