"""Data, training, evaluation and export.

`recipe` is light, so that a recipe is checked before TensorFlow is imported;
the names below load their module when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_recurrent.pipelines.recipe import Recipe as Recipe
    from keras_recurrent.pipelines.recipe import RecipeError as RecipeError
    from keras_recurrent.pipelines.recipe import load_recipe as load_recipe
    from keras_recurrent.pipelines.vocabulary import Vocabulary as Vocabulary

_HOME = {
    "Recipe": "recipe",
    "RecipeError": "recipe",
    "Vocabulary": "vocabulary",
    "load_recipe": "recipe",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOME[name]}")
    return getattr(module, name)
