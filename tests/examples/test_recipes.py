"""Every recipe among the examples is valid and finds its data."""

from pathlib import Path

import pytest
import yaml

from keras_recurrent.pipelines.recipe import (
    DataConfig,
    Recipe,
    RecipeError,
    load_recipe,
)
from keras_recurrent.pipelines.sources import load_pairs, read_texts

EXAMPLES = Path(__file__).parents[2] / "examples"
RECIPES = sorted(
    path for path in EXAMPLES.rglob("*.y*ml") if path.parent.name != "clusters"
)
SPLITS = ("train", "validation", "test")
ON_TEXTS_OF_ONES_OWN = [
    *(EXAMPLES / f"{name}.yaml" for name in ("pronunciation", "translation")),
    *(EXAMPLES / "models").glob("*.yaml"),
]


def test_there_are_recipes():
    assert len(RECIPES) >= 2


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_is_valid(path):
    recipe = load_recipe(path)
    if path in ON_TEXTS_OF_ONES_OWN:
        with pytest.raises(RecipeError, match="data.files.train.*=.*No"):
            load_pairs(recipe.data, "train")
    elif recipe.data.files is not None:
        for split in SPLITS:
            assert load_pairs(recipe.data, split).cardinality() > 0


def test_the_first_recipe_explains_every_key():
    settings = yaml.safe_load((EXAMPLES / "cmudict.yaml").read_text())
    assert settings.keys() == Recipe.model_fields.keys()
    for name, section in Recipe.model_fields.items():
        keys = getattr(section.annotation, "model_fields", {})
        left_out = keys.keys() - settings[name] if keys else set()
        assert left_out <= {"files", "folder"}  # what `dataset` excludes


def test_the_dates_are_those_of_the_dataset(tmp_path):
    files = load_recipe(EXAMPLES / "tab_separated.yaml").data
    dataset = DataConfig(dataset="dates/en-2000", directory=tmp_path)
    for split in SPLITS:
        one, other = (
            sorted(
                zip(*read_texts(load_pairs(data, split)).values(), strict=True)
            )
            for data in (files, dataset)
        )
        assert one == other
