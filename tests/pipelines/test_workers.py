"""Runs of two devices and of two processes, against runs of one process.

What happens here to `progress.py` and `averaging.py` is that others have a part
in it.
"""

import json
import time

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.pipelines.run import RunError
from keras_recurrent.pipelines.workers import Workers
from tests.oracles import arrays_of
from tests.workers import cluster, start

# SGD, as Adam makes of a rounding error of a small gradient a large one; with
# batches of tokens, of which some cannot be parted evenly.
OVERRIDES = [
    "training.optimizer=sgd",
    "training.learning_rate=0.1",
    "training.batch_size=100",
    "training.batch_unit=tokens",
    "training.epochs=2",
    "model.cell=simple_rnn",
    "model.units=8",
    "model.embedding_dim=8",
]
DEVICES = """
import os, sys
import tensorflow as tf
from keras_recurrent.pipelines.recipe import load_recipe
from keras_recurrent.pipelines.run import Run
from keras_recurrent.pipelines.training import train
from tests.oracles import arrays_of

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    2 * [tf.config.LogicalDeviceConfiguration()],
)
recipe, folder, *overrides = sys.argv[1:]
train(Run.create(load_recipe(recipe, overrides), folder))
"""


def arguments(letters, folder, *more):
    command = ["-m", "keras_recurrent", "train", str(letters / "letters.yaml")]
    return [*command, "--run", str(folder), *OVERRIDES, *more]


def started(letters, folder, *more, environments=({},)):
    """Start a process for each environment; they write beside the folder."""
    return [
        start(
            arguments(letters, folder, *more),
            environment,
            folder.with_suffix(f".{number}.txt"),
        )
        for number, environment in enumerate(environments)
    ]


def output(folder, number):
    return folder.with_suffix(f".{number}.txt").read_text()


def end(processes, folder):
    for number, process in enumerate(processes):
        assert process.wait(300) == 0, output(folder, number)[-3000:]


def weights(folder):
    """All numbers of the last checkpoint, those of the optimizer too."""
    (path,) = (folder / "checkpoints").glob("2.weights.h5")
    return arrays_of(path)


def assert_equal(folder, expected):
    one, other = weights(expected), weights(folder)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(
            other[name], one[name], rtol=1e-6, atol=1e-6, err_msg=name
        )
    histories = [
        [json.loads(line) for line in path.read_text().splitlines()]
        for path in (expected / "metrics.jsonl", folder / "metrics.jsonl")
    ]
    for name in ("loss", "val_loss", "accuracy", "val_accuracy"):
        np.testing.assert_allclose(
            *([epoch[name] for epoch in one] for one in histories),
            rtol=1e-5,
            err_msg=name,
        )


def test_two_processes_are_one(letters, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    alone = started(letters, one)
    processes = started(letters, two, environments=cluster(2))
    end(alone, one)
    end(processes, two)
    assert_equal(two, one)
    assert "Epoch 2/2" in output(two, 0)
    # Only the chief tells, and writes.
    assert "Waits for the 2 workers" in output(two, 1)
    assert "Epoch" not in output(two, 1)
    assert not list(two.rglob(".draft*"))
    assert len(list((two / "events").glob("train/*"))) == 1


@pytest.mark.thorough
@pytest.mark.parametrize("victim", [0, 1])
def test_a_worker_dies_and_is_started_again(victim, letters, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    often = "training.checkpoint_steps=3"
    alone = started(letters, one)
    processes = started(letters, two, often, environments=cluster(2))
    # In the middle of the second epoch.
    while not list((two / "checkpoints").glob("1+*")):
        assert all(process.poll() is None for process in processes)
        time.sleep(0.02)
    processes[victim].kill()
    processes[victim].wait(60)
    assert processes[1 - victim].wait(120) == 2
    assert "Another worker is gone" in output(two, 1 - victim)
    end(started(letters, two, often, environments=cluster(2)), two)
    end(alone, one)
    assert_equal(two, one)


@pytest.mark.thorough
def test_two_processes_of_slurm(letters, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    # Once the average of the epochs, a moving one, and a measure of the chief.
    more = ["training.average=2", "training.ema=0.9", "training.best_by=bleu"]
    more.append("training.schedule=plateau")
    alone = started(letters, one, *more)
    step = {
        "SLURM_JOB_ID": str(int(time.time())),
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_TASKS_PER_NODE": "2",
    }
    tasks = [step | {"SLURM_PROCID": rank} for rank in "01"]
    more.append("training.strategy=multi_worker")
    processes = started(letters, two, *more, environments=tasks)
    end(alone, one)
    end(processes, two)
    assert_equal(two, one)
    assert "Average of epochs" in output(two, 0)


@pytest.mark.thorough
def test_two_devices_are_one(letters, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    alone = started(letters, one)
    recipe = str(letters / "letters.yaml")
    more = [*OVERRIDES, "training.strategy=mirrored"]
    arguments = ["-c", DEVICES, recipe, str(two), *more]
    end([start(arguments, {}, two.with_suffix(".0.txt"))], two)
    end(alone, one)
    assert_equal(two, one)


def test_one_process_is_its_own_chief():
    workers = Workers()
    assert workers.is_chief
    assert workers.count == 1
    assert workers.chief_says(3) == 3
    workers.check_same(3, "Epochs")
    error = tf.errors.InternalError(None, None, "something else")
    with pytest.raises(tf.errors.InternalError), workers.together():
        raise error


def test_a_worker_that_reads_another_folder(monkeypatch):
    workers = Workers()
    monkeypatch.setattr(workers, "chief_says", lambda value: 2.0)
    workers.check_same(2, "Epochs done")
    with pytest.raises(RunError, match="Epochs done: 2 at the chief, 1 here"):
        workers.check_same(1, "Epochs done")
