"""The search: complete, resumable, and honest about failures.

Tests `hypermodel.py`.
"""

import csv
import errno
import math
import shutil
from pathlib import Path

import keras
import pytest
import tensorflow as tf
from rich.console import Console

from keras_recurrent.pipelines.recipe import load_recipe
from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.run import Run, RunError
from keras_recurrent.tuning import (
    Seq2SeqHyperModel,
    hypermodel,
    results_table,
    search,
    tune,
)
from keras_recurrent.tuning.kept_files import stopping_search
from tests.oracles import thorough
from tests.workers import cluster, start

# Of NumPy, in KerasTuner's book-keeping.
ALL_NAN = pytest.mark.filterwarnings("ignore:All-NaN:RuntimeWarning")
# A search by two devices, which a process must have from its beginning.
TWO_DEVICES = """
import sys
from pathlib import Path
import tensorflow as tf
from keras_recurrent.pipelines.recipe import load_recipe
from keras_recurrent.pipelines.run import Run
from keras_recurrent.tuning import hypermodel, tune

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    2 * [tf.config.LogicalDeviceConfiguration()],
)
recipe, folder, *overrides = sys.argv[1:]
overrides.append("training.strategy=mirrored")
compiled = hypermodel.compile_model

def compile_model(*arguments):
    searching.append(tf.distribute.get_strategy().num_replicas_in_sync)
    compiled(*arguments)

searching = []
hypermodel.compile_model = compile_model
tune(Run(Path(folder), load_recipe(recipe, overrides)))
assert searching[-1] == 2
"""
ALL_FOUR = {("lstm", 4), ("lstm", 8), ("gru", 4), ("gru", 8)}


@pytest.fixture
def make_run(letters, tmp_path):
    def make(*overrides):
        recipe = load_recipe(letters / "letters.yaml", overrides)
        return Run(tmp_path / "run", recipe)

    return make


@pytest.fixture
def fits(monkeypatch):
    """Stands in for `fit`: what it lists is the loss, or is raised.

    Returns the choices that were fitted, in order. Their models are quickly
    built and there are no batches; `test_a_real_search` has those of a recipe.
    """
    seen = []

    def build(config, *sizes):
        inputs = keras.Input((config.units,))
        return keras.Sequential([inputs, keras.layers.Dense(1)])

    def fake(losses):
        def fit(self, hp, model, *args, **kwargs):
            choice = (hp.values.get("cell"), hp.values["units"])
            seen.append(choice)
            outcome = losses[len(seen) - 1]
            if isinstance(outcome, BaseException):
                raise outcome
            logs = {
                "val_loss": outcome,
                "seconds": 1.0,
                "parameters": model.count_params(),
            }
            history = keras.callbacks.History()
            history.set_model(model)
            history.on_train_begin()
            with stopping_search():
                for callback in kwargs["callbacks"]:
                    callback.set_model(model)
                    callback.on_epoch_end(0, logs)
            history.on_epoch_end(0, logs)
            return history

        monkeypatch.setattr(Seq2SeqHyperModel, "fit", fit)
        monkeypatch.setattr(hypermodel, "build_model", build)
        nothing = tf.data.Dataset.range(1)
        monkeypatch.setattr(search, "load_batches", lambda *_: [nothing] * 2)
        # KerasTuner's, of all that was ever made in the process.
        monkeypatch.setattr("gc.collect", lambda: 0)
        return seen

    return fake


def read(run):
    with (run.search / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def choices(results):
    return {(r.values["cell"], r.values["units"]) for r in results}


@pytest.mark.thorough
def test_a_real_search(make_run):
    run = make_run(
        "tuning.space={units: [4, 8]}",
        "tuning.max_trials=2",
        "model.cell=simple_rnn",
        "model.bidirectional=false",
    )
    results = tune(run)
    assert [r.rank for r in results] == [1, 2]
    assert results[0].objective < results[1].objective
    assert all(r.seconds > 0 for r in results)
    best = load_recipe(run.best)
    assert best.model.units == results[0].values["units"]
    # A model's size follows from the choice.
    sizes = {r.values["units"]: r.parameters for r in results}
    assert sizes[4] < sizes[8]
    # All but the choice is as in the recipe.
    model = best.model.model_copy(update={"units": run.recipe.model.units})
    assert best.model_copy(update={"model": model}) == run.recipe
    # Again: nothing is searched anew.
    assert tune(run) == results


def test_all_of_a_small_space_is_tried_and_the_best_kept(make_run, fits):
    seen = fits([3.0, 1.0, 4.0, 2.0])
    run = make_run()
    results = tune(run)
    assert choices(results) == ALL_FOUR
    assert [r.objective for r in results] == [1.0, 2.0, 3.0, 4.0]
    best = load_recipe(run.best)
    assert (best.model.cell, best.model.units) == seen[1]
    rows = read(run)
    assert [row["rank"] for row in rows] == list("1234")
    assert float(rows[0]["val_loss"]) == 1.0
    assert {row["status"] for row in rows} == {"completed"}


def test_more_trials_than_choices_end(make_run, fits):
    fits([1.0] * 9)
    assert len(tune(make_run("tuning.max_trials=9"))) == 4


def test_an_interrupted_search_goes_on(make_run, fits):
    seen = fits([3.0, 1.0, KeyboardInterrupt(), 2.0, 4.0])
    run = make_run()
    with pytest.raises(KeyboardInterrupt):
        tune(run)
    assert len(seen) == 3
    results = tune(run)
    # The interrupted choice was tried again, the finished ones were not.
    assert seen[3] == seen[2]
    assert len(seen) == 5
    assert choices(results) == ALL_FOUR
    assert [r.objective for r in results] == [1.0, 2.0, 3.0, 4.0]
    assert {r.status for r in results} == {"completed"}


@ALL_NAN
def test_failed_trials_are_marked_and_never_the_best(make_run, fits):
    fits([math.nan, MemoryError("too large"), 5.0, ValueError("two\nlines")])
    run = make_run()
    first, *failed = tune(run)
    assert (first.rank, first.status, first.objective) == (1, "completed", 5)
    assert [r.rank for r in failed] == [None] * 3
    assert {r.status for r in failed} == {"failed"}
    assert [r.objective for r in failed] == [None] * 3
    assert {r.message for r in failed} == {
        "the loss is not a number",
        "MemoryError: too large",
        "ValueError: two",
    }
    best = load_recipe(run.best).model
    assert {"cell": best.cell, "units": best.units} == first.values
    assert [row["status"] for row in read(run)] == ["completed"] + 3 * [
        "failed"
    ]


def test_a_search_without_success_is_an_error(make_run, fits):
    fits([MemoryError("too large")] * 4)
    run = make_run()
    with pytest.raises(RunError, match="all 4 trials failed.*too large"):
        tune(run)
    assert not run.best.exists()
    assert len(read(run)) == 4


@pytest.mark.parametrize(
    "stride", [17, thorough(1)], ids=["some files", "all files"]
)
def test_interrupted_before_any_file(stride, make_run, fits, monkeypatch):
    """Of those that KerasTuner writes, one by one and each as a whole."""
    fits([1.0] * 1000)
    replace = Path.replace

    def interrupting(count, written):
        def instead(path, target):
            if path.suffix == ".json" and target.parent != run.search.parent:
                written.append(target.name)
                if len(written) == count:
                    raise KeyboardInterrupt
            return replace(path, target)

        return instead

    for count in range(1, 1000, stride):
        run, written = make_run(), []
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", interrupting(count, written))
            try:
                tune(run)
                break
            except KeyboardInterrupt:
                pass
        results = tune(run)
        assert choices(results) == ALL_FOUR, written
        assert {r.status for r in results} == {"completed"}, written
        shutil.rmtree(run.folder)
    assert {"oracle.json", "trial.json", "tuner0.json"} <= {*written}
    assert len(written) > 4 * 5


def test_interrupted_as_a_trial_is_chosen(make_run, fits, monkeypatch):
    """There is a file of the trial, and none that knows of it."""
    seen = fits([3.0, 1.0, 2.0, 4.0])
    run = make_run()
    replace = Path.replace

    def interrupt(path, target):
        if Path(target).name == "oracle.json" and third.exists():
            raise KeyboardInterrupt
        return replace(path, target)

    third = run.search / "trial_2" / "trial.json"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            tune(run)
    assert len(seen) == 2
    assert choices(tune(run)) == ALL_FOUR
    assert len(seen) == 4


@pytest.mark.parametrize("what", ["no room", "read-only"])
def test_a_full_disk_fails_no_trial(what, make_run, fits, monkeypatch):
    # What is lost is the third trial, of which the weights are not kept.
    seen = fits([3.0, 1.0, 4.0, 4.0, 2.0])
    run = make_run()
    message = "No space left on device"
    with monkeypatch.context() as patch:
        if what == "no room":
            usage = shutil.disk_usage

            def full(folder):
                return usage(folder)._replace(free=10**9 * (len(seen) < 3))

            patch.setattr("shutil.disk_usage", full)
        else:
            message = "Read-only file system"
            replace = Path.replace

            def refuse(path, target):
                if len(seen) == 3:
                    raise OSError(errno.EROFS, message, str(path))
                return replace(path, target)

            patch.setattr(Path, "replace", refuse)
        with pytest.raises(RunError, match=message):
            tune(run)
    assert len(seen) == 3
    assert [r.objective for r in tune(run)] == [1.0, 2.0, 3.0, 4.0]
    assert seen[3] == seen[2]


def test_another_recipe_is_refused(make_run, fits):
    fits([1.0] * 4)
    tune(make_run())
    with pytest.raises(RunError, match="tuning.max_trials=4 there, 3 here"):
        tune(make_run("tuning.max_trials=3"))


def test_more_trials_go_on(make_run, fits, capsys):
    seen = fits([1.0, 2.0, 3.0, 4.0])
    assert len(tune(make_run("tuning.max_trials=2"))) == 2
    run = make_run("decoding.beam_width=1")
    assert choices(tune(run)) == ALL_FOUR
    assert len(seen) == 4
    assert load_recipe(run.search / "recipe.yaml") == run.recipe
    assert load_recipe(run.best).decoding.beam_width == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "decoding.beam_width=1 (was 3)" in line
    assert "tuning.max_trials=4 (was 2)" in line


def test_changed_data_stops_a_search(make_run, fits, letters, tmp_path):
    shutil.copytree(letters, tmp_path / "data")
    validation = tmp_path / "data" / "validation.tsv"
    fits([1.0, KeyboardInterrupt()])
    run = make_run(f"data.files.validation={validation}")
    with pytest.raises(KeyboardInterrupt):
        tune(run)
    with validation.open("a") as file:
        file.write("dxd\tD X D\n")
    before = {p: p.stat().st_mtime_ns for p in run.search.rglob("*")}
    size = f"{validation.stat().st_size:,} bytes"
    with pytest.raises(RunError, match=f"data.validation: .*{size}.* here"):
        tune(run)
    after = {p: p.stat().st_mtime_ns for p in run.search.rglob("*")}
    assert after == before


def test_a_search_of_before_fingerprints_goes_on(make_run, fits, capsys):
    fits([1.0, KeyboardInterrupt(), 2.0, 3.0, 4.0])
    run = make_run()
    with pytest.raises(KeyboardInterrupt):
        tune(run)
    kept = run.search_origin.fingerprint_file
    fingerprint = kept.read_bytes()
    kept.unlink()
    assert choices(tune(run)) == ALL_FOUR
    assert kept.read_bytes() == fingerprint
    (line,) = capsys.readouterr().err.splitlines()
    assert "had no fingerprint of its data" in line


def test_a_damaged_search_is_named(make_run, fits):
    fits([1.0] * 4)
    run = make_run()
    tune(run)
    oracle = run.search / "oracle.json"
    oracle.write_bytes(oracle.read_bytes()[:99])
    with pytest.raises(RunError, match="oracle.json: damaged"):
        tune(run)


def test_one_process_at_a_time(make_run):
    run = make_run()
    with run.locked():
        with pytest.raises(RunError, match="another process"):
            tune(run)


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("gpu", "training.strategy=gpu: TensorFlow sees no GPU"),
        ("mirrored", "training.strategy=mirrored: it needs several GPUs"),
        ("multi_worker", "multi_worker: a search trains on one machine"),
        # The machines of a cluster are what there is.
        ("auto", "multi_worker: a search trains on one machine"),
    ],
)
def test_what_cannot_search_is_refused(
    strategy, message, make_run, monkeypatch
):
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("There is a GPU")
    if strategy == "auto":
        monkeypatch.setenv("TF_CONFIG", cluster(2)[0]["TF_CONFIG"])
    run = make_run(f"training.strategy={strategy}")
    with pytest.raises(RecipeError, match=message):
        tune(run)
    assert not run.folder.exists()


@pytest.mark.thorough
@pytest.mark.parametrize("algorithm", ["random", "hyperband"])
def test_two_devices_search_as_one(algorithm, make_run, letters, tmp_path):
    overrides = [
        f"tuning.algorithm={algorithm}",
        "tuning.epochs=3",
        "tuning.space={units: [4, 5, 6, 7, 8]}",
        # As in `test_workers.py`.
        "training.optimizer=sgd",
        "training.learning_rate=0.1",
        "model.cell=simple_rnn",
        "model.bidirectional=false",
    ]
    run = make_run(*overrides)
    tune(run)
    recipe, two = str(letters / "letters.yaml"), tmp_path / "two"
    search = start(
        ["-c", TWO_DEVICES, recipe, str(two), *overrides],
        {},
        tmp_path / "output.txt",
    )
    assert search.wait(300) == 0, (tmp_path / "output.txt").read_text()
    one, other = read(run), read(Run(two, run.recipe))
    assert len(one) == len(other) > 3
    for mine, its in zip(one, other, strict=True):
        assert mine["units"] == its["units"]
        loss = float(its["val_loss"])
        assert float(mine["val_loss"]) == pytest.approx(loss, rel=1e-4)


def test_a_folder_of_others_is_refused(make_run, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").touch()
    with pytest.raises(RunError, match="not a run folder"):
        tune(make_run())
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    "space",
    ["{}", "{input_feeding: [true, false]}"],  # the latter has no state to feed
)
def test_without_values_there_is_nothing_to_search(make_run, space):
    run = make_run(f"tuning.space={space}")
    with pytest.raises(RunError, match="nothing to search: tuning.space"):
        tune(run)
    assert not run.folder.exists()


@pytest.mark.parametrize("epochs", [1, 2])
def test_hyperband_needs_epochs_to_divide(make_run, epochs):
    run = make_run("tuning.algorithm=hyperband", f"tuning.epochs={epochs}")
    with pytest.raises(RunError, match=f"tuning.epochs={epochs}: expected at"):
        tune(run)
    assert not run.folder.exists()


def test_hyperband_says_if_it_ended_too_early(make_run, fits, capsys):
    fits([1.0] * 4)
    run = make_run("tuning.algorithm=hyperband", "tuning.epochs=9")
    results = tune(run)
    # The first round wants nine choices of four.
    assert {r.values["epochs"] for r in results} == {1}
    (line,) = capsys.readouterr().err.splitlines()
    assert "no model was trained for tuning.epochs=9, the longest for 1" in line


@pytest.mark.parametrize("real", [False, thorough(True)])
def test_hyperband(real, make_run, fits, capsys):
    if not real:
        fits([1.0 + n for n in range(20)])
    run = make_run(
        "tuning.algorithm=hyperband",
        "tuning.epochs=3",
        "tuning.steps_per_epoch=1",
        "model.cell=simple_rnn",
        "model.bidirectional=false",
        "tuning.space={units: [4, 5, 6, 7, 8]}",
    )
    results = tune(run)
    assert {r.status for r in results} == {"completed"}
    # Successive halving: some trials were longer than others.
    assert {r.values["epochs"] for r in results} == {1, 3}
    assert capsys.readouterr().err == ""
    assert load_recipe(run.best).model.units == results[0].values["units"]


@ALL_NAN
def test_the_table_marks_failures(make_run, fits):
    fits([math.nan, 2.0, 1.0, 3.0])
    console = Console(width=120, record=True)
    console.print(results_table(tune(make_run())))
    text = console.export_text()
    assert "Search: 4 trials" in text
    assert text.count("completed") == 3
    assert text.count("failed") == 1
    assert "2.0000" in text
