"""Our encoder-decoder against Joey NMT's and tensorflow-addons'.

    make bench-seq2seq

All do the same work on random ids: a bidirectional GRU encoder, a GRU decoder
with Bahdanau's attention and input feeding, embeddings and states of 256; Adam
with clipped gradients; outputs of a fixed length. Ours runs as a user would
have it: `Seq2Seq`, `model.fit`, and `model.generate` with `jit_compile=True`,
the compilation of which is in the passes that do not count.

Each contestant lives in a process and an environment of its own. In a row all
run in turn, A B C A B C …, each after a pause and a pass that does not count;
times are medians, ratios are medians of the ratios of one turn. Passes of a
few milliseconds are run several times in a row, as a server would. "peak" is
the most memory that a process occupied: after training, and after all of its
work of that size.

    python benchmarks/seq2seq.py --joeynmt PYTHON --addons PYTHON [--turns 7]
"""

import argparse
import sys
import time

import numpy as np
from rich.console import Console
from rich.table import Table
from worker import Worker

# batch, steps of source and target, vocabulary
WORKS = ((64, 16, 8000), (64, 24, 1000), (1, 16, 8000), (1, 24, 1000))
UNITS = 256
PASSES = ("training", "greedy", "beam-5")
TRAINING_STEPS = 5
PAUSE = 0.05  # seconds
SHORT, RUNS = 100, 5  # milliseconds, and how often to run what takes less


def measure(
    pythons: dict[str, str], batch: int, steps: int, vocabulary: int, turns: int
) -> tuple[dict[str, dict[str, list[float]]], dict[str, dict[str, float]]]:
    """Return milliseconds, and peaks in MB, by pass and contestant."""
    workers = {
        name: Worker(python, f"{name}_worker.py")
        for name, python in pythons.items()
    }
    for worker in workers.values():
        worker.make(
            batch=batch,
            steps=steps,
            vocabulary=vocabulary,
            units=UNITS,
            training_steps=TRAINING_STEPS,
        )
    times: dict[str, dict[str, list[float]]] = {}
    peaks: dict[str, dict[str, float]] = {}
    for pass_name in PASSES:
        for worker in workers.values():
            worker.run(pass_name), worker.run(pass_name)
        times[pass_name] = {name: [] for name in workers}
        for _ in range(turns):
            for name, worker in workers.items():
                # Threads of the one before may still spin; and whoever comes
                # next starts as in the midst of its work, not from sleep.
                time.sleep(PAUSE)
                runs = RUNS if worker.run(pass_name) < SHORT else 1
                found = [worker.run(pass_name) for _ in range(runs)]
                times[pass_name][name].append(float(np.median(found)))
        peaks[pass_name] = {
            name: worker.peak_memory() for name, worker in workers.items()
        }
    for worker in workers.values():
        worker.close()
    return times, peaks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--joeynmt", help="a Python that has Joey NMT")
    parser.add_argument("--addons", help="a Python that has tensorflow-addons")
    parser.add_argument("--works", type=int, default=len(WORKS))
    arguments = parser.parse_args()
    pythons = {"ours": sys.executable}
    pythons |= {
        name: python
        for name in ("joeynmt", "addons")
        if (python := getattr(arguments, name))
    }
    table = Table(title="Ours, and how many times faster than theirs")
    for column in ("batch", "steps", "vocabulary", "what", *pythons):
        table.add_column(column, justify="right")
    for other in list(pythons)[1:]:
        table.add_column(f"× {other}", justify="right", style="bold")
    for batch, steps, vocabulary in WORKS[: arguments.works]:
        times, peaks = measure(
            pythons, batch, steps, vocabulary, arguments.turns
        )
        work = [str(batch), str(steps), f"{vocabulary:,}"]
        for pass_name, by_name in times.items():
            amount, unit = 1e3 * batch, "sentences/s"
            if pass_name == "training":
                amount, unit = amount * steps * TRAINING_STEPS, "tokens/s"
            row = [*work, f"{pass_name}, {unit}"]
            row += [f"{amount / np.median(t):,.0f}" for t in by_name.values()]
            ours, *others = (np.array(t) for t in by_name.values())
            row += [f"{np.median(other / ours):.2f}" for other in others]
            table.add_row(*row)
        for what, pass_name in (("training", PASSES[0]), ("all", PASSES[-1])):
            found = list(peaks[pass_name].values())
            row = [*work, f"peak of {what}, MB"]
            row += [f"{peak:,.0f}" for peak in found]
            row += [f"{other / found[0]:.2f}" for other in found[1:]]
            table.add_row(*row, end_section=what == "all")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
