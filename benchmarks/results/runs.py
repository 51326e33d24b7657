"""Runs by the commands that users type, several side by side, a core each.

A run of several seeds is one row of the results: the measures of each seed,
and those of the ensemble of all. A row is written when it is complete, and
what stands in the file is not run again, unless its recipe has changed since; a
run that was interrupted goes on, as long as its folder is there.
"""

import json
import math
import os
import queue
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from keras_recurrent.pipelines import Run, load_predictor, load_recipe

# From 0 to 100 in the files of runs; other measures are shares.
SCORES = ("bleu", "chrf", "ter")


@dataclass
class Experiment:
    """A recipe with settings, trained with several seeds.

    Attributes:
        name: what it is called in results.
        recipe: a file.
        overrides: keys with values, as on the command line.
        seeds: a run for each.
        tests: names of the test sets.
    """

    name: str
    recipe: Path
    overrides: tuple[str, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    tests: tuple[str, ...] = ("test",)

    def settings(self) -> dict[str, Any]:
        """What the recipe says that is not the default; of data, nothing."""
        return load_recipe(self.recipe, self.overrides).model_dump(
            mode="json",
            exclude_defaults=True,
            exclude={"data": True, "tuning": True, "training": {"seed"}},
        )

    def train(self, seed: int, folder: Path) -> Run:
        """Train with a seed, and decode the test sets."""
        run = folder / self.name / f"seed{seed}"
        command(
            *("train", str(self.recipe), "--run", str(run)),
            *(*self.overrides, f"training.seed={seed}"),
            log=run.with_suffix(".log"),
        )
        return self.evaluated(Run.open(run), [])

    def evaluated(self, run: Run, others: list[Run]) -> Run:
        """Decode the test sets, unless that has been done."""
        written = run.evaluation_files(self.tests[-1], others)
        if not written.numbers.exists():
            together = [f"--with={other.folder}" for other in others]
            command(
                *("evaluate", str(run.folder), *together),
                log=run.folder.with_suffix(".log"),
            )
        return run

    def row(self, runs: list[Run]) -> dict[str, Any]:
        """What is kept of the runs of all seeds, and of their ensemble."""
        first, *others = runs
        together = None
        if others:
            self.evaluated(first, others)
            together = numbers(first, others, self.tests)
        return {
            "name": self.name,
            "settings": self.settings(),
            "parameters": parameters(first),
            "runs": [of_run(run, self.tests) for run in runs],
            "ensemble": together,
        }


def of_run(run: Run, tests: tuple[str, ...]) -> dict[str, Any]:
    """What is kept of a run: how it learned, and how good it is."""
    history = run.history()
    return {
        "seed": run.recipe.training.seed,
        "minutes": round(sum(epoch["seconds"] for epoch in history) / 60, 1),
        "steps": history[-1]["steps"],
        "loss": [round(epoch["loss"], 4) for epoch in history],
        "val_loss": [round(epoch["val_loss"], 4) for epoch in history],
        **numbers(run, [], tests),
    }


def numbers(
    run: Run, others: list[Run], tests: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """The measures of each test set, in %, and the seconds of decoding it."""
    found = {}
    for name in tests:
        written = run.evaluation_files(name, others).numbers
        said = json.loads(written.read_text(encoding="utf-8"))
        found[name] = {
            key: round(one["value"] * (1 if key in SCORES else 100), 3)
            for key, one in said["measures"].items()
        } | {"seconds": said["seconds"]}
    return found


def parameters(run: Run) -> int:
    """Return how many weights were trained."""
    weights = load_predictor(run).model.trainable_weights
    return sum(math.prod(weight.shape) for weight in weights)


def command(*words: str, log: Path) -> None:
    """Run one of ours; what it prints goes to the end of a file.

    Raises:
        RuntimeError: it failed. That is printed too, as whoever waits for it
            may wait for others first.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        done = subprocess.run(
            [sys.executable, "-m", "keras_recurrent", *words],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )
    if done.returncode:
        tail = "\n".join(log.read_text().splitlines()[-20:])
        failure = f"keras-recurrent {' '.join(words)}:\n{tail}"
        print(failure, file=sys.stderr, flush=True)
        raise RuntimeError(failure)


def threads_of_a_core() -> ThreadPoolExecutor:
    """As many threads as there are cores, each with one of its own."""
    cores: queue.SimpleQueue[int] = queue.SimpleQueue()
    for core in sorted(os.sched_getaffinity(0)):
        cores.put(core)

    def take_core() -> None:
        # Of this thread alone, and so of the commands that it starts.
        os.sched_setaffinity(0, {cores.get()})

    return ThreadPoolExecutor(cores.qsize(), initializer=take_core)


class Results:
    """What has been measured, in a file of one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.rows = {row["name"]: row for row in map(json.loads, lines)}

    def add(self, row: dict[str, Any]) -> None:
        self.rows[row["name"]] = row
        whole = self.path.with_suffix(".new")
        whole.write_text(
            "".join(f"{json.dumps(one)}\n" for one in self.rows.values())
        )
        whole.replace(self.path)
        print(json.dumps(row), flush=True)

    def complete(
        self, experiments: Iterable[Experiment], folder: Path
    ) -> dict[str, dict[str, Any]]:
        """Measure what is missing, each on a core of its own; return all."""
        missing = []
        for one in experiments:
            row = self.rows.get(one.name)
            if row is None:
                missing.append(one)
            elif row["settings"] != one.settings():
                print(f"{one.name}: other settings than in {self.path}; again")
                missing.append(one)
        with threads_of_a_core() as pool:
            training = [
                [pool.submit(one.train, seed, folder) for seed in one.seeds]
                for one in missing
            ]
            for one, runs in zip(missing, training, strict=True):
                self.add(one.row([run.result() for run in runs]))
        return {one.name: self.rows[one.name] for one in experiments}


def with_spread(values: Iterable[float]) -> str:
    """The mean, and the deviation of one seed from it if there are several."""
    values = list(values)
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{mean(values):.2f} ± {stdev(values):.2f}"


def curves(rows: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw the mean loss of all seeds, on training and validation pairs."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for color, (name, row) in enumerate(rows.items()):
        for key, style in (("loss", ":"), ("val_loss", "-")):
            # A run may have ended before the others.
            epochs = zip(*(run[key] for run in row["runs"]), strict=False)
            losses = [mean(epoch) for epoch in epochs]
            axes.plot(
                range(1, len(losses) + 1),
                losses,
                style,
                color=f"C{color}",
                label=name if style == "-" else None,
            )
    axes.set(xlabel="epoch", ylabel="loss (dotted: in training)", yscale="log")
    axes.legend(fontsize="small")
    # Without a date and random names a new drawing of the same is no change.
    with rc_context({"svg.hashsalt": path.stem}):
        figure.savefig(path, metadata={"Date": None})
