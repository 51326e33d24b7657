"""Run folders: made, opened, and refused in one line."""

import pytest

from keras_recurrent.pipelines.recipe import load_recipe
from keras_recurrent.pipelines.run import Run, RunError


@pytest.fixture
def recipe(letters):
    return load_recipe(letters / "letters.yaml")


def test_a_new_run_keeps_the_resolved_recipe(recipe, tmp_path):
    run = Run.create(recipe, tmp_path / "a" / "b")
    assert load_recipe(run.recipe_file) == recipe


def test_the_same_recipe_goes_on(recipe, tmp_path):
    before = Run.create(recipe, tmp_path).recipe_file.read_bytes()
    assert Run.create(recipe, tmp_path).recipe_file.read_bytes() == before


def test_another_recipe_is_refused_by_key(letters, recipe, tmp_path):
    before = Run.create(recipe, tmp_path).recipe_file.read_bytes()
    other = load_recipe(
        letters / "letters.yaml", ["model.units=7", "training.seed=3"]
    )
    with pytest.raises(RunError) as error:
        Run.create(other, tmp_path)
    message = str(error.value)
    assert "model.units=24 there, 7 here" in message
    assert "training.seed=0 there, 3 here" in message
    assert "model.cell" not in message
    assert "\n" not in message
    assert (tmp_path / "recipe.yaml").read_bytes() == before


def test_only_trained_runs_open(recipe, tmp_path):
    with pytest.raises(RunError, match="there is no such run folder"):
        Run.open(tmp_path / "missing")
    with pytest.raises(RunError, match="not a run folder"):
        Run.open(tmp_path)
    Run.create(recipe, tmp_path)
    with pytest.raises(RunError, match="no model yet. Train it first"):
        Run.open(tmp_path)


def test_a_trained_run_opens(trained):
    run = Run.open(trained)
    assert run.recipe.model.units == 24
    assert [epoch["epoch"] for epoch in run.history()] == list(range(1, 13))


def test_a_new_run_has_no_history(recipe, tmp_path):
    assert Run.create(recipe, tmp_path).history() == []
