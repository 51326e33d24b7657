"""The processes that train one run together."""

import functools
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from keras_recurrent.pipelines.batching import prefetched_to_device
from keras_recurrent.pipelines.run import RunError


class Workers:
    """What one of the processes that train a run must know of all.

    They do the same, and each has all weights, but the chief alone writes to
    the folder of the run, which all must be able to read. What depends on
    clocks or files the chief decides. A single process is its own chief.

    Args:
        strategy: From `make_strategy`; the default one if there is none.
    """

    def __init__(self, strategy: Any = None) -> None:
        default = tf.distribute.get_strategy()
        self.strategy = strategy or default
        self._parts_batches = self.strategy is not default
        multi = isinstance(
            self.strategy, tf.distribute.MultiWorkerMirroredStrategy
        )
        config = json.loads(os.environ.get("TF_CONFIG", "{}")) if multi else {}
        jobs = config.get("cluster", {})
        self.count = max(sum(map(len, jobs.values())), 1)
        task = config.get("task", {})
        chief = {"type": "chief" if "chief" in jobs else "worker", "index": 0}
        self.is_chief = self.count == 1 or chief.items() <= task.items()

    def chief_says(self, value: float) -> float:
        """Return the value of the chief, at all workers.

        Each waits here until all have come.
        """
        if self.count == 1:
            return value
        mine = value if self.is_chief else 0.0
        return float(self._sum(tf.constant(mine, tf.float64)))

    def check_same(self, value: float, what: str) -> None:
        """Check that this worker has what the chief has.

        Raises:
            RunError: it is something else.
        """
        of_chief = self.chief_says(value)
        if value != of_chief:
            raise RunError(
                f"{what}: {of_chief:g} at the chief, {value:g} here. All "
                "workers must read the same folder of the run, and same data"
            )

    def batches(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Return batches as `fit` is to have them: each will be parted.

        All workers read all data, so that they come to the same batches as one
        process.
        """
        if not self._parts_batches:
            return prefetched_to_device(batches)
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = (
            tf.data.experimental.AutoShardPolicy.DATA
        )
        return batches.with_options(options)

    @functools.cached_property
    def _sum(self) -> Any:
        def at_replica(value: Any) -> Any:
            context = tf.distribute.get_replica_context()
            # All of a worker have the same.
            is_first = context.replica_id_in_sync_group % per_worker == 0
            mine = value * tf.cast(is_first, value.dtype)
            return context.all_reduce(tf.distribute.ReduceOp.SUM, mine)

        per_worker = self.strategy.num_replicas_in_sync // self.count
        return tf.function(
            lambda value: self.strategy.experimental_local_results(
                self.strategy.run(at_replica, [value])
            )[0],
            autograph=False,
        )

    @contextmanager
    def together(self) -> Iterator[None]:
        """Say in one line that another worker is gone, which ends this one.

        TensorFlow notices at once if a process ends, and within two minutes if
        a machine does not answer.

        Raises:
            RunError: one is.
        """
        try:
            yield
        except tf.errors.OpError as error:
            gone = re.search(
                r"ollective ops is aborted by: (.+)", error.message
            )
            if gone is None:
                raise
            raise RunError(
                "Another worker is gone, or has stopped with an error of its "
                f"own ({gone[1].strip()}). Start all of them again: they go on "
                "from the last checkpoint"
            ) from None
