"""Training: what it writes, and that an interrupted run loses nothing.

Tests `progress.py`.
"""

import contextlib
import hashlib
import json
import math
import shutil

import h5py
import keras
import pytest

from keras_recurrent.pipelines import checkpoints, progress, training
from keras_recurrent.pipelines.build_vocabularies import build_vocabularies
from keras_recurrent.pipelines.history import best_value
from keras_recurrent.pipelines.lengths import example_lengths
from keras_recurrent.pipelines.optimizing import plateau_rate
from keras_recurrent.pipelines.progress import KeepProgress
from keras_recurrent.pipelines.recipe import (
    Recipe,
    RecipeError,
    load_recipe,
)
from keras_recurrent.pipelines.run import Run, RunError
from keras_recurrent.pipelines.splits import load_splits
from keras_recurrent.pipelines.training import train
from tests.oracles import arrays_of, thorough

STEPS = 20  # per epoch: 320 words, 16 per batch
SHORT_STEPS = 4  # of 64 words
SPLITS = ("train", "validation", "test")


# The quickest model to trace.
SMALL = ("model.cell=simple_rnn", "model.bidirectional=false")


@pytest.fixture
def run(letters, tmp_path):
    recipe = load_recipe(letters / "letters.yaml", SMALL)
    return Run.create(recipe, tmp_path / "run")


@pytest.fixture(scope="module")
def finished(letters, tmp_path_factory):
    """A finished run of two short epochs; not to be changed."""
    recipe = load_recipe(
        letters / "letters.yaml",
        ["training.epochs=2", "training.max_examples=64", *SMALL],
    )
    run = Run.create(recipe, tmp_path_factory.mktemp("runs") / "short")
    assert train(run)
    return run


def recipe_of(given, data=None, epochs=2):
    """Change the recipe of a run in keys that may change."""
    recipe = getattr(given, "recipe", given).model_dump(mode="json")
    recipe["training"]["epochs"] = epochs
    if data is not None:
        files = {split: str(data / f"{split}.tsv") for split in SPLITS}
        recipe["data"]["files"] = files
    return Recipe.model_validate(recipe)


def times(folder):
    """When each file was last written to; locking it is no matter."""
    files = (path for path in folder.rglob("*") if path.name != ".lock")
    return {path: path.stat().st_mtime_ns for path in files}


@contextlib.contextmanager
def interruption(monkeypatch, epoch, batch):
    """Press Ctrl-C in this epoch, counted from 0, after this batch."""

    class Interrupted(KeepProgress):
        def on_epoch_begin(self, now, logs=None):
            self.now = now
            super().on_epoch_begin(now, logs)

        def on_train_batch_end(self, done, logs=None):
            if self.now == epoch and done == batch:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "KeepProgress", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            yield


def test_all_that_a_run_folder_holds(trained):
    run = Run.open(trained)
    for epoch in run.history():
        assert set(epoch) == {
            "epoch",
            "loss",
            "accuracy",
            "val_loss",
            "val_accuracy",
            "tokens_per_second",
            "steps",
            "left_out",
            "seconds",
        }
        assert epoch["left_out"] == 0
    assert max(epoch["val_accuracy"] for epoch in run.history()) > 0.9
    assert set(run.source_vocabulary.read_text().split()) == set("abcd")
    assert set(run.target_vocabulary.read_text().split()) == set("ABCD")
    for folder in ("train", "validation", "examples"):
        assert list((run.events / folder).glob("events.out.tfevents*"))
    assert run.training_picture.read_bytes().startswith(b"\x89PNG")
    # What more epochs would go on from.
    assert [p.name for p in run.checkpoints.iterdir()] == ["20.weights.h5"]


def test_the_saved_model_is_the_best_one(trained):
    run = Run.open(trained)
    pairs = load_splits(run.recipe).pairs
    vocabularies = build_vocabularies(run.recipe, pairs["train"])
    lengths = {"train": example_lengths(pairs["train"], vocabularies)}
    _, validation = training.load_batches(
        run.recipe, vocabularies, 0, pairs, lengths
    )
    model = keras.saving.load_model(run.model)
    loss = model.evaluate(validation, verbose=0, return_dict=True)["loss"]
    best = best_value(run.history(), run.recipe.training)
    assert loss == pytest.approx(best, rel=1e-4)


def test_a_finished_run_is_left_alone(trained):
    run = Run.open(trained)
    before = times(trained)
    assert not train(run)
    assert times(trained) == before


def test_an_interrupted_run_goes_on(run, monkeypatch):
    with interruption(monkeypatch, epoch=1, batch=STEPS - 1):
        train(run)
    first = run.history()
    assert [epoch["epoch"] for epoch in first] == [1]

    iterations = []
    log = KeepProgress.on_epoch_end

    def spy(self, epoch, logs=None):
        iterations.append(int(self.model.optimizer.iterations))
        log(self, epoch, logs)

    monkeypatch.setattr(KeepProgress, "on_epoch_end", spy)
    assert train(run)
    # The optimizer went on after the first epoch, and so did the log.
    assert iterations == [2 * STEPS, 3 * STEPS]
    assert [epoch["epoch"] for epoch in run.history()] == [1, 2, 3]
    assert run.history()[0] == first[0]
    assert run.history()[1]["loss"] < first[0]["loss"]
    assert not train(run)


@pytest.mark.parametrize("written", [thorough(1), 3])
def test_a_run_that_is_killed_while_writing_goes_on(run, monkeypatch, written):
    """Model, checkpoint, picture and metrics are the files of an epoch."""
    whole_file = progress.whole_file
    files = []

    @contextlib.contextmanager
    def die(path):
        files.append(path.name)
        if len(files) <= 4 + written:
            with whole_file(path) as draft:
                yield draft
        else:
            path.with_name(f".draft-1-{path.name}").write_bytes(b"half of it")
            raise SystemExit

    with monkeypatch.context() as patch:
        for module in (checkpoints, progress):
            patch.setattr(module, "whole_file", die)
        with pytest.raises(SystemExit):
            train(run)
    assert files[:4] == [
        "model.keras",
        "1.weights.h5",
        "training.png",
        "metrics.jsonl",
    ]
    (first,) = run.history()
    keras.saving.load_model(run.model)
    # From here on, no model may replace one that is said to be perfect.
    run.metrics.write_text(json.dumps(first | {"val_loss": 0.0}) + "\n")
    best = run.model.read_bytes()
    assert train(run)
    assert [epoch["epoch"] for epoch in run.history()] == [1, 2, 3]
    assert run.history()[0] == first | {"val_loss": 0.0}
    assert run.history()[1]["loss"] < first["loss"]
    assert run.model.read_bytes() == best
    assert [p.name for p in run.checkpoints.iterdir()] == ["3.weights.h5"]


def test_more_epochs_go_on_where_the_last_one_ended(
    finished, tmp_path, monkeypatch, capsys
):
    shutil.copytree(finished.folder, tmp_path / "run")
    longer = recipe_of(finished, epochs=4)
    run = Run.create(longer, tmp_path / "run")
    assert load_recipe(run.recipe_file) == finished.recipe  # not yet

    weights, steps = [], []

    def spy(self, logs=None):
        steps.append(int(self.model.optimizer.iterations))
        variables = self.model.variables + self.model.optimizer.variables
        weights.extend(v.numpy().tobytes() for v in variables)

    monkeypatch.setattr(KeepProgress, "on_train_begin", spy)
    assert train(run)
    kept = arrays_of(finished.checkpoints / "2.weights.h5")
    assert steps == [2 * SHORT_STEPS]
    assert sorted(x.tobytes() for x in kept.values()) == sorted(weights)

    history = run.history()
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3, 4]
    assert history[:2] == finished.history()
    assert history[2]["loss"] < history[1]["loss"]
    assert load_recipe(run.recipe_file) == longer
    said = capsys.readouterr().err
    assert said == f"{run.recipe_file}: now training.epochs=4 (was 2)\n"


def test_changed_data_stops_a_run_before_anything_is_written(
    finished, letters, tmp_path, capsys
):
    folder, data = tmp_path / "run", tmp_path / "data"
    shutil.copytree(finished.folder, folder)
    shutil.copytree(letters, data)
    moved = recipe_of(finished, data)
    assert not train(Run.create(moved, folder))  # the same, elsewhere
    said = capsys.readouterr().err
    assert f"data.files.train={data / 'train.tsv'} (was " in said
    before = times(folder)

    with (data / "train.tsv").open("a") as file:
        file.write("dddddd\tD D D D D D\n" * 99)
    text = (data / "train.tsv").read_bytes()
    sha256 = hashlib.sha256(text).hexdigest()[:16]
    for epochs in (2, 4):
        with pytest.raises(RunError) as error:
            train(Run.create(recipe_of(moved, epochs=epochs), folder))
        assert f"{len(text):,} bytes, sha256 {sha256} here" in str(error.value)
        assert "data.train: " in str(error.value)
        assert "validation" not in str(error.value)
        assert "\n" not in str(error.value)
    assert times(folder) == before
    assert capsys.readouterr().err == ""


def test_a_run_keeps_its_vocabularies(finished, letters, tmp_path, capsys):
    """As one of before there were fingerprints, whose data has changed."""
    folder, data = tmp_path / "run", tmp_path / "data"
    shutil.copytree(finished.folder, folder)
    shutil.copytree(letters, data)
    with (data / "train.tsv").open("a") as file:
        file.write("dxdddd\tD D D X D D\n" * 99)
    run = Run.create(recipe_of(finished, epochs=4), folder)
    run.origin.fingerprint_file.unlink()
    shutil.rmtree(run.checkpoints)  # which were removed at the end, too
    run.origin.write_recipe(recipe_of(finished, data))
    run = Run.create(recipe_of(finished, data, epochs=3), folder)
    before = run.target_vocabulary.read_bytes()
    assert train(run)
    assert run.target_vocabulary.read_bytes() == before
    # Its best epoch was the last one.
    assert run.history()[:2] == finished.history()
    assert run.history()[2]["loss"] < 2 * run.history()[1]["loss"]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4
    assert "training.epochs=3 (was 2)" in said[0]
    assert "had no fingerprint of its data" in said[1]
    assert "98 of 419 training pairs have occurred before" in said[2]
    assert "goes on from those of the best epoch, 2" in said[3]
    kept = json.loads(run.origin.fingerprint_file.read_text())
    text = (data / "train.tsv").read_bytes()
    assert hashlib.sha256(text).hexdigest()[:16] in kept["data"]["train"]


def test_other_versions_are_said(finished, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    run = Run.create(finished.recipe, folder)
    kept = json.loads(run.origin.fingerprint_file.read_text())
    version = kept["versions"]["keras"]
    kept["versions"]["keras"] = "3.0.0"
    run.origin.fingerprint_file.write_text(json.dumps(kept))
    assert not train(run)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"versions.keras: 3.0.0 there, {version} here")


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("metrics.jsonl", b'{"epoch": 1, "val_l', "line 1: damaged, expected"),
        ("metrics.jsonl", b'{"epoch": 1}\n', "line 1: damaged, expected"),
        ("metrics.jsonl", b"\xff\n", "line 1: damaged, expected"),
        ("recipe.yaml", b"data: [", "recipe.yaml"),
        ("fingerprint.json", b'{"data": ', "fingerprint.json: damaged"),
        ("fingerprint.json", b"[1]", "fingerprint.json: damaged"),
        ("source.vocabulary.txt", b"a\na\n", "source.vocabulary.txt: damaged"),
        ("source.vocabulary.txt", b"\xff\n", "source.vocabulary.txt: damaged"),
        ("source.vocabulary.txt", b"c\nb\na\nd\n", "source.vocabulary.txt: "),
        ("source.vocabulary.txt", None, "source.vocabulary.txt: No such file"),
    ],
)
def test_a_damaged_file_is_named_in_one_line_and_nothing_is_lost(
    finished, tmp_path, name, contents, message
):
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    if contents is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(contents)
    before = times(folder)
    with pytest.raises((RunError, RecipeError), match=message) as error:
        train(Run.create(recipe_of(finished, epochs=4), folder))
    assert "\n" not in str(error.value)
    assert times(folder) == before


def test_an_epoch_without_a_loss_is_not_kept(finished, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    run = Run.create(recipe_of(finished, epochs=4), folder)

    def spoil(self, logs=None):
        self.model.optimizer.learning_rate = math.inf

    monkeypatch.setattr(KeepProgress, "on_train_begin", spoil)
    before = run.model.read_bytes()
    with pytest.raises(RunError, match="not a number in epoch 3, batch"):
        train(run)
    assert run.history() == finished.history()
    assert run.model.read_bytes() == before
    assert [p.name for p in run.checkpoints.iterdir()] == ["2.weights.h5"]


def test_patience_ends_training(letters, tmp_path):
    recipe = load_recipe(
        letters / "letters.yaml",
        # So little that nothing improves measurably.
        ["training.patience=2", "training.epochs=9"]
        + ["training.learning_rate=1e-30", *SMALL],
    )
    run = Run.create(recipe, tmp_path)
    assert train(run)
    assert len(run.history()) == 3
    assert not train(run)


def test_a_loss_that_is_no_number_is_reported(letters, tmp_path):
    recipe = load_recipe(
        letters / "letters.yaml", ["training.learning_rate=1e38", *SMALL]
    )
    with pytest.raises(RunError, match="below 1e\\+38"):
        train(Run.create(recipe, tmp_path))


def test_a_recipe_that_failed_may_be_mended(letters, tmp_path):
    """Nothing depends on it before there is an epoch."""
    wrong = load_recipe(
        letters / "letters.yaml", [*SMALL, "data.files.train=none.tsv"]
    )
    with pytest.raises(RecipeError, match="none.tsv"):
        train(Run.create(wrong, tmp_path))
    right = load_recipe(
        letters / "letters.yaml",
        [*SMALL, "training.epochs=1", "training.max_examples=16"],
    )
    run = Run.create(right, tmp_path)
    # Another process might be in its first epoch.
    assert load_recipe(run.recipe_file) == wrong
    assert train(run)
    assert load_recipe(run.recipe_file) == right


def test_minutes_end_training(letters, tmp_path):
    settings = [*SMALL, "training.minutes=0.000001", "training.epochs=9"]
    run = Run.create(load_recipe(letters / "letters.yaml", settings), tmp_path)
    assert train(run)
    # After its first batch, and it is finished.
    assert len(run.history()) == 1
    with h5py.File(next(run.checkpoints.iterdir())) as file:
        assert int(file["optimizer/vars/0"][()]) == 1
    assert not train(run)


def test_the_rate_of_a_plateau_goes_by_the_epochs(letters, tmp_path):
    settings = [
        *SMALL,
        "training.max_examples=16",
        "training.epochs=4",
        "training.learning_rate=30",
        "training.clipnorm=null",
        "training.schedule=plateau",
    ]
    recipe = load_recipe(letters / "letters.yaml", settings)
    run = Run.create(recipe, tmp_path)
    assert train(run)
    losses = [epoch["val_loss"] for epoch in run.history()]
    with h5py.File(run.checkpoints / "4.weights.h5") as file:
        rate = float(file["optimizer/vars/1"][()])
    assert rate == plateau_rate(recipe.training, losses[:3]) < 30
