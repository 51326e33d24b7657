"""What a training goes on from: weights, optimizer, random state, position."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import keras
import tensorflow as tf

from keras_recurrent.pipelines.files import check_space, whole_file
from keras_recurrent.pipelines.run import Run, RunError

_SUFFIX = ".weights.h5"
_POSITION = "position"
# What files have besides numbers: names, and room to grow.
_OVERHEAD = 2**20


class Position(NamedTuple):
    """How far a training is."""

    epochs: int = 0
    """Whole epochs that are done."""
    batches: int = 0
    """Batches that are done of the next one."""
    seconds: float = 0.0
    """How long these took."""
    metrics: Sequence[Any] = ()
    """What the metrics have counted in them."""


def save_checkpoint(run: Run, model: keras.Model, position: Position) -> Path:
    """Write all that a training goes on from, as a whole file or none.

    Keras's `save_weights` leaves out the states of random generators; these,
    and the position, are in the same file.
    """
    check_room(run.folder, model)
    path = checkpoint_path(run, position.epochs, position.batches)
    kept = {
        **position._asdict(),
        "seeds": [seed.numpy().tolist() for seed in _seeds(model)],
    }
    with whole_file(path) as draft:
        model.save_weights(draft)
        with h5py.File(draft, "a") as file:
            file.attrs[_POSITION] = json.dumps(kept)
    return path


def load_checkpoint(model: keras.Model, path: Path) -> Position:
    """Load what `save_checkpoint` has written.

    Raises:
        RunError: the file is damaged.
    """
    load_weights(model, path)
    epochs, batches = _numbers(path)
    with h5py.File(path) as file:
        # Older ones have none, and are of whole epochs.
        kept = json.loads(file.attrs.get(_POSITION, "{}"))
    for seed, state in zip(_seeds(model), kept.pop("seeds", ()), strict=False):
        seed.assign(state)
    return Position(**{"epochs": epochs, "batches": batches, **kept})


def load_weights(model: keras.Model, path: Path) -> None:
    """Load weights, those of the optimizer too, of a checkpoint or a model.

    Args:
        model: its optimizer is built.
        path: of the file.

    Raises:
        RunError: the file is damaged.
    """
    try:
        model.load_weights(path)
    except Exception as error:  # h5py and zipfile raise many kinds
        reason = " ".join(str(error).split())
        raise RunError(f"{path}: damaged: {reason}") from error


def checkpoints(run: Run) -> list[Path]:
    """Return those that there are, the latest first."""
    found = [
        path
        for path in run.checkpoints.glob(f"*{_SUFFIX}")
        if not path.name.startswith(".")
    ]
    return sorted(found, key=_numbers, reverse=True)


def checkpoint_path(run: Run, epochs: int, batches: int = 0) -> Path:
    """Return where the checkpoint of a position is."""
    within = f"+{batches}" if batches else ""
    return run.checkpoints / f"{epochs}{within}{_SUFFIX}"


def epochs_of(path: Path) -> int:
    """Return how many whole epochs were done at a checkpoint."""
    return _numbers(path)[0]


def save_model(run: Run, model: keras.Model) -> None:
    """Write the model of a run, as a whole file or none.

    Raises:
        OSError: there is no room.
    """
    check_room(run.folder, model)
    with whole_file(run.model) as draft:
        model.save(draft)


def check_room(folder: Path, model: keras.Model) -> None:
    """Refuse to write what a model and its optimizer have, without room.

    Raises:
        OSError: there is none.
    """
    total = sum(
        math.prod(v.shape) * tf.as_dtype(v.dtype).size
        for v in model.variables + model.optimizer.variables
    )
    check_space(folder, int(1.1 * total) + _OVERHEAD)


def _numbers(path: Path) -> tuple[int, int]:
    epochs, _, batches = path.name.removesuffix(_SUFFIX).partition("+")
    return int(epochs), int(batches or 0)


def _seeds(model: keras.Model) -> list[Any]:
    """The states of the random generators of a model."""
    return [
        variable.value
        for variable in model.variables
        if variable.path.endswith("seed_generator_state")
    ]
