"""The model of a run is the mean of the weights of several epochs."""

import io
import json
import shutil
import zipfile

import keras
import numpy as np
import pytest

from keras_recurrent.pipelines import training
from keras_recurrent.pipelines.build_vocabularies import build_vocabularies
from keras_recurrent.pipelines.lengths import example_lengths
from keras_recurrent.pipelines.recipe import Recipe, load_recipe
from keras_recurrent.pipelines.run import Run, RunError
from keras_recurrent.pipelines.splits import load_splits
from keras_recurrent.pipelines.training import train
from tests.oracles import arrays_of

# So fast that not every epoch is better than the one before.
SETTINGS = [
    *("model.cell=simple_rnn", "model.bidirectional=false"),
    *("training.max_examples=64", "training.learning_rate=0.05"),
]


def run_of(letters, folder, *settings):
    recipe = load_recipe(letters / "letters.yaml", [*SETTINGS, *settings])
    return Run.create(recipe, folder)


def with_epochs(run, epochs):
    recipe = run.recipe.model_dump(mode="json")
    recipe["training"]["epochs"] = epochs
    return Run.create(Recipe.model_validate(recipe), run.folder)


def arrays(file):
    """By name, of a file of Keras, those of the optimizer left out."""
    return {
        name: value
        for name, value in arrays_of(file).items()
        if not name.startswith("optimizer")
    }


def weights_of_model(run):
    with zipfile.ZipFile(run.model) as archive:
        return arrays(io.BytesIO(archive.read("model.weights.h5")))


def kept(run):
    return sorted(int(p.name.split(".")[0]) for p in run.checkpoints.iterdir())


def assert_is_mean_of(run, epochs):
    each = [arrays(run.checkpoints / f"{n}.weights.h5") for n in epochs]
    found = weights_of_model(run)
    assert found.keys() == each[0].keys() and len(found) > 10
    for name, weight in found.items():
        mean = np.mean([one[name] for one in each], axis=0, dtype="float64")
        np.testing.assert_allclose(weight, mean, rtol=1e-6, atol=1e-7)
        assert (np.ptp([one[name] for one in each], axis=0) > 0).any()


def loss_of_model(run):
    pairs = load_splits(run.recipe).pairs
    vocabularies = build_vocabularies(run.recipe, pairs["train"])
    lengths = {"train": example_lengths(pairs["train"], vocabularies)}
    _, validation = training.load_batches(
        run.recipe, vocabularies, 0, pairs, lengths
    )
    model = keras.saving.load_model(run.model)
    return model.evaluate(validation, verbose=0, return_dict=True)["loss"]


@pytest.fixture(scope="module")
def averaged(letters, tmp_path_factory):
    """A finished run with the mean of its best two; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "averaged"
    run = run_of(letters, folder, "training.average=2", "training.epochs=4")
    # The best two are not the last two.
    with pytest.MonkeyPatch.context() as patch:
        spoil_validation(patch, [3.0, 1.0, 2.0, 4.0, 9.0, 0.5])
        assert train(run)
    return run


def spoil_validation(patch, losses):
    """Have training believe that these are the losses of its epochs."""
    keep = training.KeepProgress.on_epoch_end

    def lie(self, epoch, logs=None):
        keep(self, epoch, {**logs, "val_loss": losses[epoch]})

    patch.setattr(training.KeepProgress, "on_epoch_end", lie)


def test_the_mean_of_the_best(averaged, capsys):
    assert kept(averaged) == [2, 3, 4]  # the last to go on from
    assert_is_mean_of(averaged, [2, 3])
    written = json.loads(averaged.average.read_text())
    assert written["epochs"] == [2, 3]
    assert loss_of_model(averaged) == pytest.approx(written["val_loss"])
    assert not train(averaged)
    assert capsys.readouterr().err == ""


def test_the_mean_of_the_last_and_what_is_said(letters, tmp_path, capsys):
    settings = ["average=2", "average_of=last", "epochs=3"]
    run = run_of(letters, tmp_path, *(f"training.{x}" for x in settings))
    assert train(run)
    assert kept(run) == [2, 3]
    assert_is_mean_of(run, [2, 3])
    losses = [epoch["val_loss"] for epoch in run.history()]
    best = int(np.argmin(losses))
    assert (
        f"Average of epochs 2, 3: validation loss {loss_of_model(run):.4f}; "
        f"that of the best single one, epoch {best + 1}, was "
        f"{losses[best]:.4f}\n"
    ) in capsys.readouterr().out


def test_more_epochs_go_on_and_average_the_best_of_all(
    averaged, tmp_path, monkeypatch
):
    shutil.copytree(averaged.folder, tmp_path / "run")
    spoil_validation(monkeypatch, [3.0, 1.0, 2.0, 4.0, 9.0, 0.5])
    run = with_epochs(Run(tmp_path / "run", averaged.recipe), 5)
    assert not run.is_finished()
    assert train(run)
    assert kept(run) == [2, 3, 5]  # the fifth was worse
    assert_is_mean_of(run, [2, 3])
    run = with_epochs(run, 6)
    assert train(run)
    assert kept(run) == [2, 6]
    assert_is_mean_of(run, [2, 6])
    assert [epoch["epoch"] for epoch in run.history()] == [1, 2, 3, 4, 5, 6]


def test_interrupted_while_averaging(letters, tmp_path, monkeypatch, capsys):
    run = run_of(
        letters, tmp_path / "run", "training.average=2", "training.epochs=2"
    )
    with monkeypatch.context() as patch:
        patch.setattr(training, "average_epochs", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(run)
    history = run.history()
    assert len(history) == 2
    capsys.readouterr()
    Run.open(run.folder)
    assert "the weights are not averaged yet" in capsys.readouterr().err
    assert train(run)
    assert run.history() == history  # not an epoch more
    assert_is_mean_of(run, [1, 2])
    Run.open(run.folder)
    assert capsys.readouterr().err == ""


def interrupt(*_):
    raise KeyboardInterrupt


def test_weights_that_are_lost_are_named(averaged, tmp_path):
    shutil.copytree(averaged.folder, tmp_path / "run")
    run = Run(tmp_path / "run", averaged.recipe)
    run.average.unlink()
    lost = run.checkpoints / "3.weights.h5"
    lost.unlink()
    with pytest.raises(RunError, match="3.weights.h5: is not there") as error:
        train(run)
    assert "\n" not in str(error.value)


def test_a_model_of_one_epoch_is_no_average(averaged, tmp_path, monkeypatch):
    """What was said to be averaged has been replaced by a better epoch."""
    shutil.copytree(averaged.folder, tmp_path / "run")
    run = with_epochs(Run(tmp_path / "run", averaged.recipe), 5)
    spoil_validation(monkeypatch, [3.0, 1.0, 2.0, 4.0, 0.5])
    monkeypatch.setattr(training, "average_epochs", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(run)
    assert not run.average.exists() and not run.is_finished()
    epoch = arrays(run.checkpoints / "5.weights.h5")
    for name, weight in weights_of_model(run).items():
        np.testing.assert_array_equal(weight, epoch[name])
