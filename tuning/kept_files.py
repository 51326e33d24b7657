"""What KerasTuner keeps of a search, made to stand a kill at any instant."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
from keras_tuner import errors
from keras_tuner.src import utils

from keras_recurrent.pipelines.checkpoints import check_room
from keras_recurrent.pipelines.files import whole_file
from keras_recurrent.pipelines.run import RunError

_ORACLE = "oracle.json"


class SearchStopped(RunError, errors.FatalError):
    """A file cannot be written, which is no fault of the choice tried then.

    Other errors KerasTuner keeps as the outcome of a trial.
    """


@contextmanager
def stopping_search() -> Iterator[None]:
    """Stop the search, to go on where it was, if there is no room for files.

    Raises:
        SearchStopped: in place of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        reason = error.strerror or str(error)
        raise SearchStopped(f"{name}{' '.join(reason.split())}") from None


def has_begun(search: Path) -> bool:
    """Whether a trial has been chosen."""
    return (search / _ORACLE).exists()


def check_files(search: Path) -> None:
    """Check the files of a search, before KerasTuner reads them.

    Raises:
        RunError: one is damaged.
    """
    # Without the drafts of a process that was killed.
    for path in search.rglob("[!.]*.json"):
        try:
            json.loads(path.read_bytes())
        except ValueError:
            raise RunError(
                f"{path}: damaged. To search anew, remove {search}"
            ) from None
    if has_begun(search):
        _mend(search)


def _mend(search: Path) -> None:
    """Make of trial files what `oracle.json`, written after them, tells.

    A trial that it lacks KerasTuner would count as one of those to try, and
    never try; of one that it tries again it would take the old numbers.
    """
    oracle = json.loads((search / _ORACLE).read_bytes())
    for folder in search.glob("trial_*"):
        if folder.name.removeprefix("trial_") not in oracle["start_order"]:
            shutil.rmtree(folder)
    for number in oracle["ongoing_trials"].values():
        path = search / f"trial_{number}" / "trial.json"
        trial = json.loads(path.read_bytes())
        _save_json(str(path), trial | {"metrics": {"metrics": {}}})


class CheckRoom(keras.callbacks.Callback):
    """Looks for room before KerasTuner writes the weights of a trial.

    Without, h5py crashes.

    Args:
        search: Where they are written to.
    """

    def __init__(self, search: Path) -> None:
        super().__init__()
        self.search = search

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        check_room(self.search, self.model)


@contextmanager
def whole_files() -> Iterator[None]:
    """Have KerasTuner write each of its files as a whole or not at all.

    It writes in place, and all by one function of its own.
    """
    in_place = utils.save_json
    utils.save_json = _save_json
    try:
        yield
    finally:
        utils.save_json = in_place


def _save_json(path: str, content: Any) -> str:
    text = json.dumps(content)
    with stopping_search(), whole_file(Path(path)) as draft:
        draft.write_text(text)
    return text
