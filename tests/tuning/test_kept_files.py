"""A search that is killed while KerasTuner writes its files."""

import json
import os
import signal
import subprocess
import sys

import pytest
from keras_tuner.src import utils

from keras_recurrent.pipelines.run import RunError
from keras_recurrent.tuning.kept_files import (
    check_files,
    has_begun,
    whole_files,
)

# Is killed by itself when half of a file is there.
KILLED = """
import json, os, signal, sys
from keras_tuner.src import utils
from keras_recurrent.tuning.kept_files import whole_files
from pathlib import Path

def half(path, text):
    with path.open("w") as file:
        file.write(text[: len(text) // 2])
    os.kill(os.getpid(), signal.SIGKILL)

Path.write_text = half
with whole_files():
    utils.save_json(sys.argv[1], {"start_order": ["0", "1"]})
"""


@pytest.fixture
def search(tmp_path):
    """With two trials, of which the second had not begun."""
    for number in (0, 1):
        folder = tmp_path / f"trial_{number}"
        folder.mkdir()
        trial = {"score": 1.0, "metrics": {"metrics": {"val_loss": 1.0}}}
        (folder / "trial.json").write_text(json.dumps(trial))
    oracle = {"start_order": ["0"], "ongoing_trials": {}}
    (tmp_path / "oracle.json").write_text(json.dumps(oracle))
    return tmp_path


def test_a_trial_that_had_not_begun_is_forgotten(search):
    assert has_begun(search)
    check_files(search)
    assert sorted(path.name for path in search.iterdir()) == [
        "oracle.json",
        "trial_0",
    ]


def test_a_trial_that_is_tried_again_has_no_numbers(search):
    oracle = {"start_order": ["0", "1"], "ongoing_trials": {"tuner0": "1"}}
    (search / "oracle.json").write_text(json.dumps(oracle))
    check_files(search)
    kept, again = (
        json.loads((search / f"trial_{number}" / "trial.json").read_bytes())
        for number in (0, 1)
    )
    assert kept["metrics"] == {"metrics": {"val_loss": 1.0}}
    assert again == {"score": 1.0, "metrics": {"metrics": {}}}


def test_what_is_there_before_the_first_trial_stays(search):
    (search / "oracle.json").unlink()
    assert not has_begun(search)
    check_files(search)
    assert len(list(search.iterdir())) == 2


def test_damage_is_named_and_nothing_removed(search):
    (search / "trial_0" / "trial.json").write_text("{")
    with pytest.raises(RunError, match="trial_0/trial.json: damaged"):
        check_files(search)
    assert (search / "trial_1").exists()


def test_a_kill_while_writing_leaves_what_was_there(search):
    oracle = search / "oracle.json"
    before = oracle.read_bytes()
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(oracle)],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )
    assert process.returncode == -signal.SIGKILL
    (draft,) = search.glob(".*")
    with pytest.raises(ValueError):
        json.loads(draft.read_bytes())
    assert oracle.read_bytes() == before
    check_files(search)


def test_keras_tuner_has_its_own_way_back(tmp_path):
    in_place = utils.save_json
    with whole_files():
        path = str(tmp_path / "a.json")
        assert utils.save_json(path, {"one": 1}) == '{"one": 1}'
        assert utils.load_json(path) == {"one": 1}
    assert utils.save_json is in_place
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]
