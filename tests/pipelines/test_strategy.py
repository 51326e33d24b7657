"""What there is and what there is not; that they train is in
`workers.py`."""

import json

import pytest
import tensorflow as tf

from keras_recurrent.pipelines import strategy
from keras_recurrent.pipelines.recipe import TrainingConfig
from keras_recurrent.pipelines.recipe_file import RecipeError

SLURM = {
    "SLURM_JOB_ID": "30007",
    "SLURM_PROCID": "2",
    "SLURM_STEP_NUM_TASKS": "3",
    "SLURM_STEP_NODELIST": "node[01-02]",
    "SLURM_STEP_TASKS_PER_NODE": "2,1",
}
WORKERS = {"worker": ["a:1", "b:1"]}


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    for name in ("TF_CONFIG", *SLURM):
        monkeypatch.delenv(name, raising=False)


def made(name, **options):
    return strategy.make_strategy(TrainingConfig(strategy=name, **options))


@pytest.mark.parametrize("name", ["auto", "cpu"])
def test_one_device_needs_none(name):
    assert made(name) is tf.distribute.get_strategy()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", "TensorFlow sees no GPU here"),
        ("mirrored", "needs several GPUs .* Found: CPU:0"),
        ("multi_worker", "no TF_CONFIG in the environment, .* docs/many-mach"),
        ("tpu", "TPU"),
    ],
)
def test_what_is_not_there(name, message):
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("There is a GPU")
    with pytest.raises(RecipeError, match=message) as found:
        made(name)
    assert str(found.value).startswith(f"training.strategy={name}: ")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("name", ["auto", "multi_worker"])
@pytest.mark.parametrize(
    "config",
    [
        "{",
        "[]",
        json.dumps({"cluster": WORKERS}),
        json.dumps({"cluster": WORKERS, "task": {"type": "worker"}}),
        json.dumps(
            {"cluster": WORKERS, "task": {"type": "worker", "index": 2}}
        ),
        json.dumps(
            {
                "cluster": WORKERS | {"ps": ["c:1"]},
                "task": {"type": "worker", "index": 0},
            }
        ),
    ],
)
def test_a_cluster_that_is_none(name, config, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(RecipeError, match="TF_CONFIG must be like .*Received"):
        made(name)


def test_auto_finds_what_there_is(monkeypatch):
    found = []
    for kind in ("default", "mirrored", "multi_worker"):
        monkeypatch.setitem(
            strategy._STRATEGIES,
            kind,
            lambda kind=kind: (
                found.append(kind) or tf.distribute.get_strategy()
            ),
        )
    gpus = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: gpus)
    made("auto")
    gpus.append("GPU:0")
    made("auto")
    gpus.append("GPU:1")
    made("auto")
    config = {"cluster": WORKERS, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    made("auto")
    assert found == ["default", "default", "mirrored", "multi_worker"]


def test_slurm_tells_the_cluster(monkeypatch):
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    found = json.loads(strategy._config_of_slurm())
    # Two on the first machine, and a port for each; 20000 + 30007 mod 10000.
    assert found == {
        "cluster": {"worker": ["node01:20007", "node01:20008", "node02:20007"]},
        "task": {"type": "worker", "index": 2},
    }


def test_slurm_that_tells_nothing(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    with pytest.raises(RecipeError, match="Slurm does not tell the cluster"):
        made("multi_worker")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gradient_accumulation": 2}, "training.gradient_accumulation=1"),
        ({"data_service": "grpc://a:1"}, "training.data_service=null"),
        ({"jit_compile": True}, "on CPUs, needs training.jit_compile=false"),
    ],
)
def test_what_several_replicas_cannot(options, message, monkeypatch):
    class Two:
        num_replicas_in_sync = 2

    monkeypatch.setitem(strategy._STRATEGIES, "mirrored", Two)
    assert isinstance(made("mirrored"), Two)
    with pytest.raises(RecipeError, match=f"has 2 replicas.*{message}"):
        made("mirrored", **options)
