"""Our recurrent layers against Keras's, PyTorch's and the bare products.

    make bench-layers

prints one row for each cell, size, dtype and mask: milliseconds of a forward
pass and of a training step (forward and backward, gradients of inputs and
weights), and ratios of ours to the others. All contestants of a row run in
turn, A B C A B C …, each after a pause and a pass that does not count; times
are medians, ratios are medians of the ratios of one turn, so that a machine
that slows down slows all of them.

A star marks a ratio that is above what we aim at.

"floor" is the matrix products of the step alone, arranged as ours are: no
gates, no masks, no copies.

    python benchmarks/layers.py [--turns 9] [--units 128,256] [--torch PYTHON]
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table
from worker import Worker

from keras_recurrent import layers

# units: (batch, time steps); inputs have as many features as units.
SIZES = {64: (32, 100), 128: (64, 50), 256: (64, 50), 512: (64, 50)}
DTYPES = ("float32", "bfloat16")
GATES = {"LSTM": 4, "GRU": 3}
PASSES = ("forward", "training")
PAUSE = 0.05  # seconds


def passes_of(layer: Any, x: Any, mask: Any) -> dict[str, Callable]:
    def forward(x: Any) -> Any:
        return tf.reduce_sum(layer(x, mask=mask, training=False))

    def training(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = tf.cast(layer(x, mask=mask, training=True), tf.float32)
            loss = tf.reduce_mean(tf.square(outputs))
        return tape.gradient(loss, [x, *layer.trainable_variables])

    return graphs({"forward": forward, "training": training}, x)


def floor(cell: str, units: int, x: Any) -> dict[str, Callable]:
    """The products alone, one loop for each half of the batch."""
    time_steps, width = x.shape[1], GATES[cell] * units
    draw = np.random.default_rng(0).normal
    kernel, recurrent = (
        tf.constant(draw(size=(units, width)) / width, x.dtype) for _ in "WU"
    )
    transposed = tf.transpose(recurrent)

    @tf.function(jit_compile=True, autograph=False)
    def forward_loop(h: Any) -> Any:
        return tf.while_loop(
            lambda t, *_: t < time_steps,
            lambda t, h: (t + 1, tf.matmul(h, recurrent)[:, :units]),
            (0, h),
        )[1]

    @tf.function(jit_compile=True, autograph=False)
    def backward_loop(gates: Any) -> Any:
        def body(t: Any, gates: Any) -> Any:
            d_h = tf.matmul(gates, transposed)
            return t + 1, tf.tile(d_h, (1, GATES[cell]))

        return tf.while_loop(lambda t, *_: t < time_steps, body, (0, gates))[1]

    def halves(x: Any) -> Any:
        for half in tf.split(x, 2):
            flat = tf.reshape(half, (-1, units))
            projected = tf.matmul(flat, kernel)
            yield half, flat, projected

    def forward(x: Any) -> Any:
        return [
            (tf.reduce_sum(projected[0]), forward_loop(half[:, 0]))
            for half, _, projected in halves(x)
        ]

    def training(x: Any) -> Any:
        results = []
        for half, flat, projected in halves(x):
            results += [
                forward_loop(half[:, 0]),
                backward_loop(projected[: half.shape[0]]),
                tf.matmul(projected, kernel, transpose_b=True),
                tf.matmul(flat, projected, transpose_a=True),
                # As many numbers as the states before each step have.
                tf.matmul(flat + 1, projected, transpose_a=True),
            ]
        return results

    return graphs({"forward": forward, "training": training}, x)


def graphs(functions: dict[str, Callable], x: Any) -> dict[str, Callable]:
    traced = {
        name: tf.function(function, autograph=False)
        for name, function in functions.items()
    }

    def timed(function: Callable) -> float:
        start = time.perf_counter()
        for result in tf.nest.flatten(function(x)):
            if hasattr(result, "numpy"):
                result.numpy()
        return 1e3 * (time.perf_counter() - start)

    return {
        name: lambda function=function: timed(function)
        for name, function in traced.items()
    }


def measure(
    cell: str, units: int, dtype: str, masked: bool, turns: int, torch: Any
) -> dict[str, dict[str, list[float]]]:
    """Return the milliseconds of each turn, by pass and contestant."""
    batch, steps = SIZES[units]
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(batch, steps, units)), dtype)
    lengths = rng.integers(steps // 2, steps + 1, batch)
    mask = tf.sequence_mask(lengths, steps) if masked else None
    policy = dtype if dtype == "float32" else f"mixed_{dtype}"
    options = {"return_sequences": True, "dtype": policy}
    theirs = getattr(keras.layers, cell)(units, use_cudnn=False, **options)
    ours = getattr(layers, cell)(units, **options)
    theirs.build(x.shape), ours.build(x.shape)
    ours.set_weights(theirs.get_weights())
    contestants = {
        "ours": passes_of(ours, x, mask),
        "Keras": passes_of(theirs, x, mask),
        "floor": floor(cell, units, x),
    }
    if torch is not None:
        torch.make(
            cell=cell,
            shape=[batch, steps, units],
            dtype=dtype,
            lengths=lengths.tolist() if masked else None,
        )
        contestants["torch"] = {
            name: lambda name=name: torch.run(name) for name in PASSES
        }
    times: dict[str, dict[str, list[float]]] = {}
    for name in PASSES:
        for passes in contestants.values():
            passes[name](), passes[name]()
        times[name] = {contestant: [] for contestant in contestants}
        for _ in range(turns):
            for contestant, passes in contestants.items():
                # Threads of the one before may still spin; and whoever comes
                # next starts as in the midst of a training, not from sleep.
                time.sleep(PAUSE)
                passes[name]()
                times[name][contestant].append(passes[name]())
    return times


def ratio(times: dict[str, list[float]], to: str, aim: float | None) -> str:
    """Return the median ratio, with a star if it is above what we aim at."""
    if to not in times:
        return "–"
    median = np.median(np.array(times["ours"]) / np.array(times[to]))
    return f"{median:.2f}" + ("*" if aim and median > aim else "")


def aims(name: str, units: int) -> dict[str, float | None]:
    """What ratios are to be at most, by rival."""
    if name != "training":
        return dict.fromkeys(("Keras", "torch", "floor"))
    if units == 64:
        return {"Keras": 1.0, "torch": 1.1, "floor": None}
    return {
        "Keras": 0.8,
        "torch": 1.0,
        "floor": 1.25 if units >= 256 else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--units", default=",".join(map(str, SIZES)))
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    parser.add_argument("--torch", help="a Python that has PyTorch")
    arguments = parser.parse_args()
    torch = None
    if arguments.torch:
        torch = Worker(arguments.torch, "torch_worker.py")
    table = Table(title="Milliseconds, and ours over theirs")
    for column in ("cell", "units", "dtype", "mask", "pass"):
        table.add_column(column)
    for column in ("ours", "Keras", "torch", "floor"):
        table.add_column(column, justify="right")
    for column in ("/ Keras", "/ torch", "/ floor"):
        table.add_column(column, justify="right", style="bold")
    console = Console(width=110)
    for units in map(int, arguments.units.split(",")):
        for dtype in arguments.dtypes.split(","):
            for cell in GATES:
                for masked in (False, True):
                    measured = measure(
                        cell, units, dtype, masked, arguments.turns, torch
                    )
                    for name, times in measured.items():
                        row = [cell, str(units), dtype]
                        row += ["yes" if masked else "no", name]
                        for contestant in ("ours", "Keras", "torch", "floor"):
                            values = times.get(contestant)
                            row.append(
                                f"{np.median(values):.1f}" if values else "–"
                            )
                        for other, aim in aims(name, units).items():
                            row.append(ratio(times, other, aim))
                        table.add_row(*row)
                        console.print(" ".join(row), style="dim")
    console.print(table)


if __name__ == "__main__":
    main()
