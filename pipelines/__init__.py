"""Data, training, evaluation and export.

`recipe` is light, so that a recipe is checked before TensorFlow is imported;
the names below load their module when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_recurrent.pipelines.batching import (
        training_batches as training_batches,
    )
    from keras_recurrent.pipelines.evaluation import evaluate as evaluate
    from keras_recurrent.pipelines.measures import ErrorRates as ErrorRates
    from keras_recurrent.pipelines.measures import error_rates as error_rates
    from keras_recurrent.pipelines.predictor import Predictor as Predictor
    from keras_recurrent.pipelines.predictor import (
        load_predictor as load_predictor,
    )
    from keras_recurrent.pipelines.recipe import Recipe as Recipe
    from keras_recurrent.pipelines.recipe import load_recipe as load_recipe
    from keras_recurrent.pipelines.recipe_file import RecipeError as RecipeError
    from keras_recurrent.pipelines.run import Run as Run
    from keras_recurrent.pipelines.run import RunError as RunError
    from keras_recurrent.pipelines.sources import (
        group_references as group_references,
    )
    from keras_recurrent.pipelines.sources import load_pairs as load_pairs
    from keras_recurrent.pipelines.sources import read_texts as read_texts
    from keras_recurrent.pipelines.training import train as train
    from keras_recurrent.pipelines.vocabulary import Vocabulary as Vocabulary

# Where each public name lives.
_MODULES = {
    "ErrorRates": "measures",
    "Predictor": "predictor",
    "Recipe": "recipe",
    "RecipeError": "recipe_file",
    "Run": "run",
    "RunError": "run",
    "Vocabulary": "vocabulary",
    "error_rates": "measures",
    "evaluate": "evaluation",
    "group_references": "sources",
    "load_pairs": "sources",
    "load_predictor": "predictor",
    "load_recipe": "recipe",
    "read_texts": "sources",
    "train": "training",
    "training_batches": "batching",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
