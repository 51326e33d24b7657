"""What all who race in `training.py` have: sizes, commands, our recipe.

All have one layer and dropout of 0.3, train by Adam at 0.001 with gradients
clipped to norm 1, and keep the best model by its validation loss or BLEU.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from sys import executable
from typing import Any

EMBEDDING, UNITS, DROPOUT, RATE = 128, 256, 0.3, 1e-3


@dataclass
class Contestant:
    """A command that trains in a folder.

    Attributes:
        command: what is typed, with an interpreter at its head.
        imports: Python that imports what the command does.
        prepare: writes into the folder what the command reads.
        ends_epoch: what a line contains that is printed after each epoch.
        losses: reads the validation losses of the epochs from the folder.
    """

    command: list[str]
    imports: str
    prepare: Callable[[Path], None]
    ends_epoch: str
    losses: Callable[[Path], list[float]]


@dataclass
class Task:
    """One race.

    Attributes:
        name: what it is called in results.
        folder: where contestants train, each in a folder of its own.
        epochs: how many.
        tokens: of the training targets, ends counted in.
        text: what to predict from.
        contestants: by name, the first of them ours.
    """

    name: str
    folder: Path
    epochs: int
    tokens: int
    text: str
    contestants: dict[str, Contestant]


def ours(recipe: dict[str, Any]) -> Contestant:
    command = "-m keras_recurrent train recipe.yaml --run run"
    return Contestant(
        [executable, *command.split()],
        "import keras_recurrent.pipelines.training",
        lambda run: write(run / "recipe.yaml", recipe),
        ", val_loss ",
        our_losses,
    )


def our_losses(folder: Path) -> list[float]:
    """Those of `metrics.jsonl`."""
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["val_loss"] for line in lines]


def recipe_of(files: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """Fill in what is the same in all races; no test set is read."""
    sections["model"] |= {
        "embedding_dim": EMBEDDING,
        "units": UNITS,
        "dropout": DROPOUT,
    }
    sections["training"] |= {"learning_rate": RATE, "clipnorm": 1.0}
    return {
        "data": {"files": files | {"test": files["validation"]}},
        "target": {"split": "words"},
        **sections,
    }


def write(path: Path, settings: dict[str, Any]) -> None:
    """As YAML, of which JSON is a part."""
    path.write_text(json.dumps(settings, ensure_ascii=False, indent=1), "utf-8")
