"""Cells that are scanned against our LSTM, over up to 8,192 time steps.

    python benchmarks/scan_cells.py [--turns 7] [--steps 128,512,2048,8192]
        X

prints one row for each length: milliseconds of a training step (forward and
backward, gradients of inputs and weights) of each cell, how many times faster
than the LSTM that is, and the peak memory. All contestants of a row run in
turn, A B C A B C …; times are medians, ratios are medians of the ratios of one
turn. Memory is measured apart (on Linux), in a process for each cell: by how
much a step over all of the time raises the most that the process occupied
after a step over 64 time steps.

"products" is what no arrangement can go below: the products of the smallest
of these cells (MinGRU) and of their gradient, and a pass over its outputs.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from keras_recurrent.layers import RNN
from keras_recurrent.layers.cells import get_cell

CELLS = (
    "lstm",
    "min_gru",
    "min_lstm",
    "sru",
    "qrnn",
    "lru",
    "rg_lru",
    "mlstm",
)
FLOOR = "products"


def training_step(name: str, units: int, x: Any) -> Callable[[], float]:
    """Return a function that makes one step and returns its milliseconds."""
    if name == FLOOR:
        kernel = tf.Variable(tf.random.normal((x.shape[-1], 2 * units)))
        weights = [kernel]

        def run(x: Any) -> Any:
            return tf.tensordot(x, kernel, 1)
    else:
        layer = RNN(get_cell(name)(units), return_sequences=True)
        layer.build(x.shape)
        weights = layer.trainable_variables

        def run(x: Any) -> Any:
            return layer(x, training=True)

    @tf.function(autograph=False)
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_mean(tf.square(run(x)))
        return tape.gradient(loss, [x, *weights])

    def timed() -> float:
        start = time.perf_counter()
        for gradient in step(x)[1:]:
            gradient.numpy()
        return 1e3 * (time.perf_counter() - start)

    return timed


def peak_memory(name: str, units: int, shape: list[int]) -> float:
    """Make three steps here; return by how many MB the process grew."""

    def occupied() -> float:
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024

    x = tf.random.normal(shape)
    # What compiling takes is no matter of length.
    short = training_step(name, units, x[:, :64])
    short()
    before = occupied()
    step = training_step(name, units, x)
    for _ in range(3):
        step()
    return occupied() - before


def measure_memory(name: str, units: int, shape: list[int]) -> float:
    request = json.dumps([name, units, shape])
    answer = subprocess.run(
        [sys.executable, __file__, "--memory", request],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(answer.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--steps", default="128,512,2048,8192")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        print(peak_memory(*json.loads(arguments.memory)))
        return
    units = arguments.units
    table = Table(
        title=f"Training step: batch {arguments.batch}, "
        f"{arguments.features} features, {units} units"
    )
    for column in ("time steps", "cell", "ms", "times LSTM", "peak MB"):
        table.add_column(column, justify="right")
    for steps in map(int, arguments.steps.split(",")):
        shape = [arguments.batch, steps, arguments.features]
        x = tf.random.normal(shape)
        contestants = {
            name: training_step(name, units, x) for name in (*CELLS, FLOOR)
        }
        for step in contestants.values():
            step(), step()
        times: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(arguments.turns):
            for name, step in contestants.items():
                times[name].append(step())
        for name, values in times.items():
            ratios = np.array(times["lstm"]) / np.array(values)
            memory = (
                "–"
                if name == FLOOR
                else f"{measure_memory(name, units, shape):.0f}"
            )
            table.add_row(
                f"{steps:,}",
                name,
                f"{np.median(values):.1f}",
                f"{np.median(ratios):.1f}",
                memory,
            )
        table.add_section()
    Console(width=80).print(table)


if __name__ == "__main__":
    main()
