"""A training that is interrupted ends as one that is not, bit by bit."""

import contextlib

import h5py
import numpy as np
import pytest

from keras_recurrent.pipelines import checkpoints, files, progress
from keras_recurrent.pipelines.checkpoints import checkpoint_path
from keras_recurrent.pipelines.progress import KeepProgress
from keras_recurrent.pipelines.recipe import load_recipe
from keras_recurrent.pipelines.run import Run, RunError
from keras_recurrent.pipelines.training import train
from tests.oracles import arrays_of, thorough

STEPS = 6  # Batches of an epoch: 96 words, 16 per batch.
OPTIONS = (
    "training.epochs=2",
    "training.max_examples=96",
    "training.checkpoint_minutes=null",
    "training.checkpoint_steps=2",
    # All that has a state.
    "training.ema=0.9",
    "training.schedule=cosine",
    "model.cell=simple_rnn",
    "model.dropout=0.2",
    "model.embedding_dropout=0.2",
    "model.attention_options={dropout: 0.2}",
)


def make(letters, folder, *more):
    recipe = load_recipe(letters / "letters.yaml", [*OPTIONS, *more])
    return Run.create(recipe, folder)


@pytest.fixture(scope="module")
def whole(letters, tmp_path_factory):
    """A run that nothing interrupts."""
    run = make(letters, tmp_path_factory.mktemp("runs") / "whole")
    assert train(run)
    return run


def assert_same(run, whole):
    one, other = (arrays_of(checkpoint_path(each, 2)) for each in (run, whole))
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], name)
    for epoch, expected in zip(run.history(), whole.history(), strict=True):
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert epoch[name] == expected[name]


@contextlib.contextmanager
def interrupted_at(monkeypatch, count):
    """Interrupt behind so many batches of this call of `train`."""
    seen = []
    original = KeepProgress.on_train_batch_end

    def watched(self, batch, logs=None):
        seen.append(batch)
        if len(seen) == count:
            raise KeyboardInterrupt
        original(self, batch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(KeepProgress, "on_train_batch_end", watched)
        with pytest.raises(KeyboardInterrupt):
            yield


@pytest.mark.parametrize(
    "moments",
    [
        thorough((5,)),  # Goes on behind batch 4 of the first epoch,
        thorough((1, 3)),  # from the beginning, and behind batch 2,
        (3, STEPS + 1),  # behind batch 2, and at an epoch.
    ],
    ids=str,
)
def test_at_any_batch(letters, tmp_path, whole, monkeypatch, moments):
    run = make(letters, tmp_path / "run")
    for count in moments:
        with interrupted_at(monkeypatch, count):
            train(run)
    assert train(run)
    assert_same(run, whole)
    assert [path.name for path in run.checkpoints.iterdir()] == ["2.weights.h5"]


@pytest.mark.parametrize("number", [thorough(1), 4])
def test_while_a_file_is_written(letters, tmp_path, whole, monkeypatch, number):
    run = make(letters, tmp_path / "run")
    files = []

    @contextlib.contextmanager
    def die(path):
        files.append(path.name)
        with original(path) as draft:
            yield draft
            if len(files) == number:
                draft.write_bytes(b"half of it")
                raise SystemExit

    original = progress.whole_file
    with monkeypatch.context() as patch:
        for module in (checkpoints, progress):
            patch.setattr(module, "whole_file", die)
        with pytest.raises(SystemExit):
            train(run)
    assert train(run)
    assert_same(run, whole)


def test_a_damaged_checkpoint_is_passed_over(
    letters, tmp_path, whole, monkeypatch, capsys
):
    run = make(letters, tmp_path / "run")
    with interrupted_at(monkeypatch, STEPS + 5):
        train(run)
    assert {path.name for path in run.checkpoints.iterdir()} == {
        "1+2.weights.h5",
        "1+4.weights.h5",
    }
    path = checkpoint_path(run, 1, 4)
    path.write_bytes(path.read_bytes()[:1000])
    capsys.readouterr()
    assert train(run)
    said = capsys.readouterr().err
    assert f"{path}: damaged: " in said
    assert "The one before it is used" in said
    assert_same(run, whole)


def test_a_budget_of_steps(letters, tmp_path):
    """The schedule ends there as well."""
    run = make(letters, tmp_path / "run", f"training.steps={STEPS + 2}")
    assert train(run)
    assert [epoch["steps"] for epoch in run.history()] == [STEPS, STEPS + 2]
    assert not train(run)
    with h5py.File(checkpoint_path(run, 2)) as file:
        kept = file["optimizer/vars/0"][()]
    assert kept == STEPS + 2


def test_a_full_disk_is_told_and_nothing_is_lost(
    letters, tmp_path, whole, monkeypatch
):
    run = make(letters, tmp_path / "run")
    usage = files.shutil.disk_usage

    def full(folder):
        little = len(list(run.checkpoints.glob("*"))) > 1
        return usage(folder)._replace(free=1000 if little else 10**9)

    with monkeypatch.context() as patch:
        patch.setattr(files.shutil, "disk_usage", full)
        with pytest.raises(OSError, match="No space left on device"):
            train(run)
    assert len(list(run.checkpoints.iterdir())) == 2
    assert train(run)
    assert_same(run, whole)


def test_the_recipe_must_stay_from_the_first_checkpoint_on(
    letters, tmp_path, monkeypatch
):
    run = make(letters, tmp_path / "run")
    with interrupted_at(monkeypatch, 4):
        train(run)
    assert not run.metrics.exists()
    with pytest.raises(RunError, match="belongs to another recipe"):
        make(letters, tmp_path / "run", "model.units=4")
    # How often checkpoints are made does not matter.
    make(letters, tmp_path / "run", "training.checkpoint_steps=null")
    for path in run.checkpoints.iterdir():
        path.write_bytes(b"nothing")
    with pytest.raises(RunError, match="Remove it to begin again"):
        train(run)


def test_a_loss_that_is_no_number_is_told_with_its_batch(
    letters, tmp_path, monkeypatch
):
    run = make(letters, tmp_path / "run", "training.learning_rate=0.5")
    original = KeepProgress.on_train_batch_end

    def broken(self, batch, logs=None):
        is_now = self.position.epochs == 0 and batch == 3
        original(self, batch, {"loss": float("nan")} if is_now else logs)

    monkeypatch.setattr(KeepProgress, "on_train_batch_end", broken)
    with pytest.raises(
        RunError, match=r"epoch 1, batch 4, at a learning rate of 0\.\d+"
    ):
        train(run)
    assert [path.name for path in run.checkpoints.iterdir()] == [
        "0+2.weights.h5"
    ]
