"""Run folders: made, opened, and refused in one line.

Tests `origin.py`.
"""

import json
import shutil
import subprocess
import sys

import pytest

from keras_recurrent.pipelines.recipe import load_recipe
from keras_recurrent.pipelines.run import Run, RunError


@pytest.fixture
def recipe(letters):
    return load_recipe(letters / "letters.yaml")


def begin(recipe, folder):
    """A run that has results."""
    run = Run.create(recipe, folder)
    run.metrics.write_text("")
    return run


def test_a_new_run_keeps_the_resolved_recipe(recipe, tmp_path):
    run = Run.create(recipe, tmp_path / "a" / "b")
    assert load_recipe(run.recipe_file) == recipe


def test_the_same_recipe_goes_on(recipe, tmp_path):
    before = Run.create(recipe, tmp_path).recipe_file.read_bytes()
    assert Run.create(recipe, tmp_path).recipe_file.read_bytes() == before


def test_another_recipe_is_refused_by_key(letters, recipe, tmp_path):
    before = begin(recipe, tmp_path).recipe_file.read_bytes()
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


def test_what_results_do_not_depend_on_may_change(letters, recipe, tmp_path):
    begin(recipe, tmp_path)
    for key in (
        "training.epochs=4",
        "training.patience=2",
        "decoding.beam_width=1",
        "evaluation.token=name",
        "tuning.max_trials=1",
        "tuning.space={units: [3]}",
    ):
        other = load_recipe(letters / "letters.yaml", [key])
        assert other != recipe
        Run.create(other, tmp_path)
        # Training does that, once it knows that nothing else differs.
        assert load_recipe(tmp_path / "recipe.yaml") == recipe
    for key in ("training.epochs=2", "data.files.train=other.tsv"):
        other = load_recipe(letters / "letters.yaml", [key])
        with pytest.raises(RunError, match="belongs to another recipe"):
            Run.create(other, tmp_path)


def test_files_for_a_dataset_are_another_recipe(letters, recipe, tmp_path):
    begin(recipe, tmp_path)
    other = load_recipe(letters / "letters.yaml", ["data={dataset: cmudict}"])
    with pytest.raises(RunError, match="data.dataset=null there, cmudict here"):
        Run.create(other, tmp_path)


def test_nothing_of_others_is_overwritten(recipe, tmp_path):
    for name in ("model.keras", "metrics.jsonl", "a", "b"):
        (tmp_path / name).write_text("mine")
    message = r"no recipe.yaml but a, b, metrics.jsonl, .... Nothing was overw"
    with pytest.raises(RunError, match=message):
        Run.create(recipe, tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
    with pytest.raises(RunError, match="expected a folder, this is a file"):
        Run.create(recipe, tmp_path / "a")


def test_a_search_and_hidden_files_may_have_been_there(recipe, tmp_path):
    (tmp_path / "search").mkdir()
    for name in ("best.yaml", ".lock", ".gitignore"):
        (tmp_path / name).touch()
    assert Run.create(recipe, tmp_path).recipe_file.exists()


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
    assert [epoch["epoch"] for epoch in run.history()] == list(range(1, 21))


def test_a_new_run_has_no_history(recipe, tmp_path):
    assert Run.create(recipe, tmp_path).history() == []


@pytest.fixture
def copied(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def test_an_unfinished_run_opens_and_says_so(copied, capsys):
    assert Run.open(copied).history()
    assert capsys.readouterr().err == ""
    metrics = copied / "metrics.jsonl"
    lines = metrics.read_text().splitlines(keepends=True)
    metrics.write_text("".join(lines[:5]))
    assert len(Run.open(copied).history()) == 5
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{copied}: unfinished, epoch 5 of 20;")


def test_a_run_without_a_fingerprint_opens(copied, capsys):
    (copied / "fingerprint.json").unlink()
    Run.open(copied)
    assert capsys.readouterr().err == ""


def test_a_changed_vocabulary_does_not_open(copied):
    vocabulary = copied / "target.vocabulary.txt"
    lines = vocabulary.read_text().splitlines(keepends=True)
    vocabulary.write_text("".join(reversed(lines)))
    with pytest.raises(RunError, match="target.vocabulary.txt: has changed"):
        Run.open(copied)


def test_half_a_model_does_not_open(copied):
    model = copied / "model.keras"
    model.write_bytes(model.read_bytes()[:1000])
    with pytest.raises(RunError, match="model.keras: damaged"):
        Run.open(copied)


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b"7", b"\xff", b'{"epoch": 2, "val_loss": null}']
)
def test_damaged_metrics_are_named_by_line(copied, line):
    metrics = copied / "metrics.jsonl"
    lines = metrics.read_bytes().splitlines()
    metrics.write_bytes(b"\n".join([lines[0], line, *lines[2:]]))
    with pytest.raises(RunError, match="jsonl, line 2: damaged") as error:
        Run.open(copied)
    assert "\n" not in str(error.value)


def test_the_metrics_of_an_epoch_may_be_no_numbers(recipe, tmp_path):
    run = Run.create(recipe, tmp_path)
    run.metrics.write_text(json.dumps({"epoch": 1, "val_loss": float("nan")}))
    assert len(run.history()) == 1


LOCK = """
import sys
from pathlib import Path
from keras_recurrent.pipelines.recipe import load_recipe
from keras_recurrent.pipelines.run import Run

folder = Path(sys.argv[1])
with Run(folder, load_recipe(folder / "recipe.yaml")).locked():
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_run_is_for_one_process_as_long_as_it_lives(recipe, tmp_path):
    run = Run.create(recipe, tmp_path / "run")
    process = subprocess.Popen(
        [sys.executable, "-c", LOCK, str(run.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "locked\n"
    with pytest.raises(RunError, match="another process .* here") as error:
        with run.locked():
            pass
    assert "\n" not in str(error.value)
    process.kill()
    process.communicate()
    assert (run.folder / ".lock").exists()  # which hinders nobody
    with run.locked():
        pass
    with run.locked():
        pass


def test_what_a_killed_process_was_writing_is_removed(recipe, tmp_path):
    run = Run.create(recipe, tmp_path / "run")
    run.model.touch()
    half = run.folder / ".draft-123-model.keras"
    half.touch()
    # An evaluation is no training: it may be at work.
    other = run.folder / ".draft-123-predictions.tsv"
    other.touch()
    with run.locked():
        assert not half.exists()
    assert run.model.exists()
    assert other.exists()
