"""Training: what it writes, and that an interrupted run loses nothing."""

import contextlib
import json
import shutil

import keras
import pytest

from keras_recurrent.pipelines import progress, training
from keras_recurrent.pipelines.progress import KeepProgress, best_loss
from keras_recurrent.pipelines.recipe import ModelConfig, load_recipe
from keras_recurrent.pipelines.run import Run, RunError
from keras_recurrent.pipelines.training import build_model, train

STEPS = 20  # per epoch: 320 words, 16 per batch


# The quickest model to trace.
SMALL = ("model.cell=simple_rnn", "model.bidirectional=false")


@pytest.fixture
def run(letters, tmp_path):
    recipe = load_recipe(letters / "letters.yaml", SMALL)
    return Run.create(recipe, tmp_path / "run")


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
            "seconds",
        }
    assert max(epoch["val_accuracy"] for epoch in run.history()) > 0.9
    assert set(run.source_vocabulary.read_text().split()) == set("abcd")
    assert set(run.target_vocabulary.read_text().split()) == set("ABCD")
    assert list(run.events.rglob("events.out.tfevents*"))
    assert run.training_picture.read_bytes().startswith(b"\x89PNG")
    assert not run.checkpoints.exists()  # nothing left to go on from


def test_the_saved_model_is_the_best_one(trained):
    run = Run.open(trained)
    vocabularies = training.build_vocabularies(run.recipe)
    _, validation = training.load_batches(run.recipe, vocabularies, 0)
    model = keras.saving.load_model(run.model)
    loss = model.evaluate(validation, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(best_loss(run.history()), rel=1e-4)


def test_a_finished_run_is_left_alone(trained):
    run = Run.open(trained)
    before = {p: p.stat().st_mtime_ns for p in trained.rglob("*")}
    assert not train(run)
    assert {p: p.stat().st_mtime_ns for p in trained.rglob("*")} == before


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


@pytest.mark.parametrize("written", [1, 3])
def test_a_run_that_is_killed_while_writing_goes_on(run, monkeypatch, written):
    """Model, checkpoint, picture and metrics are the files of an epoch."""
    write = progress._write
    files = []

    def die(path, _):
        files.append(path.name)
        if len(files) <= 4 + written:
            write(path, _)
        else:
            path.with_name(f"draft.{path.name}").write_bytes(b"half of it")
            raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(progress, "_write", die)
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


def test_without_its_checkpoint_a_run_starts_again(run, monkeypatch):
    with interruption(monkeypatch, epoch=1, batch=3):
        train(run)
    shutil.rmtree(run.checkpoints)
    run.metrics.write_text('{"epoch": 1, "val_loss": 9.0}\n')
    assert train(run)
    assert [epoch["epoch"] for epoch in run.history()] == [1, 2, 3]
    assert run.history()[0]["val_loss"] != 9.0


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


def test_every_key_of_the_recipe_reaches_the_model():
    config = ModelConfig(
        cell="lstm",
        units=5,
        embedding_dim=3,
        encoder_layers=2,
        decoder_layers=3,
        bidirectional=False,
        query="new_state",
        input_feeding=True,
        dropout=0.1,
        recurrent_dropout=0.2,
    )
    model = build_model(config, source_size=11, target_size=13)
    encoder, decoder = model.encoder.get_config(), model.decoder.get_config()
    for part in (encoder, decoder):
        assert (part["cell"], part["units"]) == ("lstm", 5)
        assert part["embedding_dim"] == 3
        assert (part["dropout"], part["recurrent_dropout"]) == (0.1, 0.2)
    assert (encoder["vocabulary_size"], encoder["num_layers"]) == (11, 2)
    assert (decoder["vocabulary_size"], decoder["num_layers"]) == (13, 3)
    assert not encoder["bidirectional"]
    assert (decoder["query"], decoder["input_feeding"]) == ("new_state", True)
    assert (model.start_id, model.end_id) == (2, 3)
    assert model.built
