"""On what devices a recipe is trained: strategies of `tf.distribute`."""

import json
import os
from typing import Any

import tensorflow as tf

from keras_recurrent.pipelines.origin import say
from keras_recurrent.pipelines.recipe import TrainingConfig
from keras_recurrent.pipelines.recipe_file import RecipeError

# First port of the tasks of a Slurm job on a machine, and how many there are to
# choose from by its number: two jobs on one machine have others.
_FIRST_PORT, _PORTS = 20_000, 10_000


def make_strategy(config: TrainingConfig) -> tf.distribute.Strategy:
    """Make the strategy that a recipe asks for by `training.strategy`.

    Where there are several workers, this waits until all of them have called
    it. Before it nothing may have been computed in this process.

    Returns:
        The default strategy of TensorFlow where one device does all.

    Raises:
        RecipeError: there are no such devices, `TF_CONFIG` is none, or another
            key of the recipe does not go with several replicas.
    """
    name = _name(config)
    try:
        strategy = _STRATEGIES[name]()
    except RuntimeError as error:
        # Of a process that has trained before.
        raise _refused(name, " ".join(str(error).split())) from None
    replicas = strategy.num_replicas_in_sync
    if replicas > 1:
        _check_replicas(config, name, replicas)
    return strategy


def check_one_machine(config: TrainingConfig) -> None:
    """Refuse several machines where only those of one can train together.

    Raises:
        RecipeError: the recipe asks for them, or `TF_CONFIG` has some.
    """
    name = _name(config)
    if name == "multi_worker":
        raise _refused(
            name,
            "a search trains on one machine (by cpu, gpu, mirrored or tpu); "
            "KerasTuner's own way to several is in docs/many-machines.md",
        )


def _name(config: TrainingConfig) -> str:
    return _best() if config.strategy == "auto" else config.strategy


def _best() -> str:
    if len(_cluster()) > 1:
        return "multi_worker"
    gpus = tf.config.list_physical_devices("GPU")
    return "mirrored" if len(gpus) > 1 else "default"


def _cpu() -> tf.distribute.Strategy:
    if tf.config.list_physical_devices("GPU"):
        tf.config.set_visible_devices([], "GPU")
    return tf.distribute.get_strategy()


def _gpu() -> tf.distribute.Strategy:
    if not tf.config.list_physical_devices("GPU"):
        raise _refused("gpu", "TensorFlow sees no GPU here")
    return tf.distribute.get_strategy()


def _mirrored() -> tf.distribute.Strategy:
    devices = tf.config.list_logical_devices("GPU")
    devices = devices or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        raise _refused(
            "mirrored",
            "it needs several GPUs (or logical CPU devices) of this machine. "
            f"Found: {devices[0].name.removeprefix('/device:')}",
        )
    return tf.distribute.MirroredStrategy([one.name for one in devices])


def _multi_worker() -> tf.distribute.Strategy:
    if "TF_CONFIG" not in os.environ and "SLURM_STEP_NUM_TASKS" in os.environ:
        os.environ["TF_CONFIG"] = _config_of_slurm()
    workers = _cluster()
    if not workers:
        raise _refused(
            "multi_worker",
            "there is no TF_CONFIG in the environment, and this was not "
            "started by srun of Slurm; see docs/many-machines.md",
        )
    say(f"Waits for the {len(workers)} workers: {', '.join(workers)}")
    return tf.distribute.MultiWorkerMirroredStrategy()


def _tpu() -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
    except ValueError as error:
        raise _refused("tpu", " ".join(str(error).split())) from None
    tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return tf.distribute.TPUStrategy(resolver)


_STRATEGIES = {
    "default": tf.distribute.get_strategy,
    "cpu": _cpu,
    "gpu": _gpu,
    "mirrored": _mirrored,
    "multi_worker": _multi_worker,
    "tpu": _tpu,
}


def _cluster() -> list[str]:
    """Return the addresses of all workers, none without a cluster."""
    config = os.environ.get("TF_CONFIG", "{}")
    try:
        parsed: Any = json.loads(config)
        jobs = parsed.get("cluster", {})
        others = jobs.keys() - {"chief", "worker"}
        workers = [*jobs.get("chief", []), *jobs.get("worker", [])]
        known = not jobs or _is_known(jobs, **parsed["task"])
    except (ValueError, AttributeError, KeyError, TypeError):
        workers, others, known = [], set(), False
    if others or not known:
        raise _refused(
            "multi_worker",
            'TF_CONFIG must be like {"cluster": {"worker": ["host:port", …]}, '
            '"task": {"type": "worker", "index": 0}}, with no other jobs than '
            f"workers and a chief. Received: {config}",
        )
    return workers


def _is_known(jobs: dict[str, list[str]], type: str, index: int) -> bool:
    return 0 <= index < len(jobs[type])


def _config_of_slurm() -> str:
    """Return the `TF_CONFIG` of this task of a Slurm job step."""
    job = int(os.environ.get("SLURM_JOB_ID", 0))
    try:
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=_FIRST_PORT + job % _PORTS,
            # It fails without GPUs. Which there are TensorFlow will see, as
            # Slurm has chosen them.
            gpus_per_node=2**20,
            gpus_per_task=1,
            auto_set_gpu=False,
        )
        cluster = resolver.cluster_spec().as_dict()
    except (RuntimeError, ValueError, OSError) as error:
        raise _refused(
            "multi_worker",
            f"Slurm does not tell the cluster ({error}); see "
            "docs/many-machines.md",
        ) from None
    kind, index = resolver.get_task_info()
    task = {"type": kind, "index": index}
    return json.dumps({"cluster": cluster, "task": task})


def _check_replicas(config: TrainingConfig, name: str, replicas: int) -> None:
    given = f"which has {replicas} replicas"
    if config.gradient_accumulation > 1:
        raise _refused(name, f"{given}, needs training.gradient_accumulation=1")
    if config.data_service is not None:
        raise _refused(
            name,
            f"{given}, needs training.data_service=null: each worker must get "
            "the same batches, of which it takes its part",
        )
    if config.jit_compile and not tf.config.list_physical_devices("GPU"):
        raise _refused(
            name, f"{given} on CPUs, needs training.jit_compile=false"
        )


def _refused(name: str, reason: str) -> RecipeError:
    return RecipeError(f"training.strategy={name}: {reason}")
