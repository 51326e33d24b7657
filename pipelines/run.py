"""The folder of a run: what was asked for and all that came of it."""

import json
from pathlib import Path
from typing import Any, Self

from keras_recurrent.pipelines.recipe import Recipe, load_recipe


class RunError(ValueError):
    """A run folder cannot be used; says why in one line."""


class Run:
    """A recipe and its folder; the attributes are the paths in it.

    `create` and `open` make one; neither imports TensorFlow.
    """

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder = folder
        self.recipe = recipe
        self.recipe_file = folder / "recipe.yaml"
        self.source_vocabulary = folder / "source.vocabulary.txt"
        self.target_vocabulary = folder / "target.vocabulary.txt"
        self.checkpoints = folder / "checkpoints"
        self.metrics = folder / "metrics.jsonl"
        self.events = folder / "events"
        self.model = folder / "model.keras"
        self.evaluation = folder / "evaluation.json"
        self.predictions = folder / "predictions.tsv"
        self.training_picture = folder / "pictures" / "training.png"
        self.attention_picture = folder / "pictures" / "attention.png"
        self.search = folder / "search"
        self.best = folder / "best.yaml"
        self.export = folder / "export"

    @classmethod
    def create(cls, recipe: Recipe, folder: str | Path) -> Self:
        """Make the folder, or go on with the one that this recipe made.

        Raises:
            RunError: the folder belongs to another recipe.
        """
        run = cls(Path(folder), recipe)
        keep_recipe(recipe, run.recipe_file)
        return run

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open the folder of a run that has been trained.

        Raises:
            RunError: there is no such folder, it is no run, or it has no
                model yet.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise RunError(f"{folder}: there is no such run folder")
        recipe_file = folder / "recipe.yaml"
        if not recipe_file.is_file():
            raise RunError(f"{folder}: not a run folder, it has no recipe.yaml")
        run = cls(folder, load_recipe(recipe_file))
        if not run.model.is_file():
            raise RunError(
                f"{folder}: no model yet. Train it first: "
                f"keras-recurrent train {recipe_file} --run {folder}"
            )
        return run

    def history(self) -> list[dict[str, Any]]:
        """The metrics of the epochs so far, one dictionary each."""
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


def keep_recipe(recipe: Recipe, path: Path) -> None:
    """Write `recipe` to `path`, or check that it is what lies there.

    Raises:
        RunError: another recipe lies there; says which keys differ.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        recipe.save(path)
        return
    kept = _flatten(load_recipe(path).model_dump(mode="json"))
    asked = _flatten(recipe.model_dump(mode="json"))
    differences = [
        f"{key}={kept[key]} there, {asked[key]} here"
        for key in sorted(kept.keys() | asked.keys())
        if kept.get(key) != asked.get(key)
    ]
    if differences:
        raise RunError(
            f"{path.parent}: belongs to another recipe "
            f"({'; '.join(differences)}). Choose another folder with --run"
        )


def _flatten(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn nested sections into one dictionary with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
