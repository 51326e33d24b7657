"""What a search may vary."""

from typing import Any

import keras_tuner as kt

from keras_recurrent.pipelines.recipe import ModelConfig, Recipe, SpaceConfig

# The one parameter that belongs to training; all others are the model's.
_LEARNING_RATE = "learning_rate"


def space(hp: kt.HyperParameters, recipe: Recipe) -> Recipe:
    """Choose a value for each parameter that the recipe wants searched.

    The candidates are those of `tuning.space` in the recipe. The default is
    the recipe's own value, or the first candidate if that is not among them.
    Input feeding is only asked for where there is something to feed back,
    with `query: new_state`.

    Args:
        hp: Where the choices are registered; empty ones give the defaults.
        recipe: States the candidates, and the values of all that is fixed.

    Returns:
        The recipe with the chosen values.
    """
    fixed = recipe.model.model_dump() | {
        _LEARNING_RATE: recipe.training.learning_rate
    }

    def choose(name: str) -> Any:
        values = getattr(recipe.tuning.space, name)
        if values is None:
            return fixed[name]
        default = fixed[name] if fixed[name] in values else values[0]
        if isinstance(default, bool):  # which `Choice` turns into numbers
            both = len(set(values)) == 2
            return hp.Boolean(name, default) if both else default
        return hp.Choice(name, list(values), default=default)

    chosen = {
        name: choose(name)
        for name in SpaceConfig.model_fields
        if name != "input_feeding"
    }
    if chosen["query"] != "new_state":
        chosen["input_feeding"] = False
    elif recipe.tuning.space.query is None:
        chosen["input_feeding"] = choose("input_feeding")
    else:
        with hp.conditional_scope("query", ["new_state"]):
            chosen["input_feeding"] = choose("input_feeding")
    learning_rate = chosen.pop(_LEARNING_RATE)
    return recipe.model_copy(
        update={
            "model": ModelConfig(**recipe.model.model_dump() | chosen),
            "training": recipe.training.model_copy(
                update={_LEARNING_RATE: learning_rate}
            ),
        }
    )
