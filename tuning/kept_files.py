"""What KerasTuner keeps of a search, made to stand a kill at any instant."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_tuner.src import utils

from keras_recurrent.pipelines.files import whole_file
from keras_recurrent.pipelines.run import RunError

_ORACLE = "oracle.json"


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
        _forget_unknown(search)


def _forget_unknown(search: Path) -> None:
    """Remove a trial that `oracle.json`, which is written after it, lacks.

    KerasTuner would count it as one of those to try, and never try it.
    """
    known = json.loads((search / _ORACLE).read_bytes())["start_order"]
    for folder in search.glob("trial_*"):
        if folder.name.removeprefix("trial_") not in known:
            shutil.rmtree(folder)


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
    with whole_file(Path(path)) as draft:
        draft.write_text(text)
    return text
