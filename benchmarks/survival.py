"""Does a training survive being killed?

    make bench-survival

A small model is trained by the command, once without interruption and then
again and again, killed until it has been killed so many times: every second
time by `kill -9` at a random moment, while it trains, validates or writes, and
every other time around the moment when it writes a file of a random kind (see
`survival_worker.py`). Each run that is finished must have the same weights, bit
by bit, and the same history. Searches, at random and by Hyperband, are killed
in the same way, and must end with the same results.

    python benchmarks/survival.py [--kills 50] [--seed 0]
"""

import argparse
import csv
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np

RECIPE = """
data:
  files: {train: train.tsv, validation: validation.tsv, test: validation.tsv}
target: {split: words}
model:
  units: 24
  embedding_dim: 12
  dropout: 0.2
training:
  epochs: 4
  batch_size: 16
  learning_rate: 0.01
  schedule: cosine
  ema: 0.9
  best_by: token_error_rate
  checkpoint_steps: 3
evaluation: {resamples: 0}
tuning:
  max_trials: 4
  epochs: 3
  steps_per_epoch: 10
  space: {cell: [gru, lstm], units: [8, 12, 16, 20]}
"""
# What the commands write, part of the paths.
WRITTEN = {
    "train": (
        "checkpoints",
        "model.keras",
        "metrics.jsonl",
        "training.png",
        "vocabulary.txt",
        "fingerprint.json",
    ),
    "tune": (
        "oracle.json",
        "trial.json",
        "tuner0.json",
        "build_config.json",
        "results.csv",
        "best.yaml",
    ),
}
WORKER = Path(__file__).with_name("survival_worker.py")
# Of a history, what is the same each time.
MEASURED = ("tokens_per_second", "seconds")


def write_task(folder: Path) -> Path:
    """Words to be spelled backwards."""
    draw = random.Random(0)
    for split, count in (("train", 320), ("validation", 64)):
        words = (
            "".join(draw.choices("abcd", k=draw.randint(1, 6)))
            for _ in range(count)
        )
        lines = [f"{word}\t{' '.join(word[::-1])}\n" for word in words]
        (folder / f"{split}.tsv").write_text("".join(lines))
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE)
    return recipe


def arguments_of(command: str, recipe: Path, run: Path) -> list[str]:
    name, *overrides = command.split()
    return [name, str(recipe), *overrides, "--run", str(run)]


def finish(command: str, recipe: Path, run: Path) -> float:
    """Run a command to its end; return how long it took."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "keras_recurrent"]
        + arguments_of(command, recipe, run),
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - began


def killed(process: subprocess.Popen, after: float | None) -> bool:
    """Kill a process after so many seconds; False if it ended before.

    Without a time, it kills itself.
    """
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.returncode > 0:
        raise SystemExit(process.stderr.read().decode())
    return process.returncode < 0


def kill(
    command: str, recipe: Path, run: Path, took: float, draw: random.Random
) -> list[str]:
    """Kill a command once; return what it was writing at that moment.

    Nothing if it ended before.
    """
    starter = ["-m", "keras_recurrent"]
    where, after = "at a random moment", draw.uniform(0.3 * took, took)
    if draw.random() < 0.5:
        file = draw.choice(WRITTEN[command.split()[0]])
        where, after = f"around {file}", None
        seconds = 10 ** draw.uniform(-5, -2)
        starter = [str(WORKER), file, str(draw.randint(1, 4)), f"{seconds:.6f}"]
    process = subprocess.Popen(
        [sys.executable, *starter, *arguments_of(command, recipe, run)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    if not killed(process, after):
        return []
    # What was being written is there as a draft of that process.
    prefix = f".draft-{process.pid}-"
    drafts = [path.name for path in run.rglob(f"{prefix}*")]
    what = [re.sub(r"\d.*\.w", "*.w", x.removeprefix(prefix)) for x in drafts]
    return [f"{where}: {', '.join(what) or 'nothing half written'}"]


def results_of_training(run: Path) -> dict[str, Any]:
    """Weights, optimizer and averages; and the history."""
    (path,) = (run / "checkpoints").glob("*.weights.h5")
    found: dict[str, Any] = {}

    def visit(name: str, value: Any) -> None:
        if isinstance(value, h5py.Dataset):
            found[name] = value[()]

    with h5py.File(path) as file:
        file.visititems(visit)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    for line in lines:
        epoch = json.loads(line)
        for name in epoch.keys() - MEASURED:
            found[f"epoch {epoch['epoch']} {name}"] = epoch[name]
    return found


def results_of_search(run: Path) -> dict[str, Any]:
    """The table, without the times."""
    with (run / "search" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {
        f"trial {row['rank']} {name}": value
        for row in rows
        for name, value in row.items()
        if name != "seconds"
    }


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [
        name
        for name in one.keys() | other.keys()
        if name not in one
        or name not in other
        or not np.array_equal(one[name], other[name])
    ]


def survive(
    command: str, recipe: Path, folder: Path, kills: int, draw: random.Random
) -> None:
    name = command.split()[0]
    results = {"train": results_of_training, "tune": results_of_search}[name]
    whole = folder / "whole"
    took = finish(command, recipe, whole)
    expected = results(whole)
    shutil.rmtree(whole)
    print(f"{command}: {took:.0f} s without interruption", flush=True)
    hits: Counter[str] = Counter()
    runs = different = 0
    while hits.total() < kills:
        run = folder / f"run-{runs}"
        # Until it ends before its moment has come, or is let end.
        while hit := kill(command, recipe, run, took, draw):
            hits.update(hit)
            if hits.total() == kills:
                finish(command, recipe, run)
                break
        wrong = differing(results(run), expected)
        different += bool(wrong)
        runs += 1
        print(
            f"{command}: {hits.total()} kills, {runs} runs, {different} of "
            f"them different {wrong[:3]}",
            flush=True,
        )
        shutil.rmtree(run)
    for where, count in sorted(hits.items()):
        print(f"{count:4} {where}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    searches = arguments.kills // 5
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = write_task(folder)
        survive("train", recipe, folder, arguments.kills, draw)
        survive("tune", recipe, folder, searches, draw)
        hyperband = "tune tuning.algorithm=hyperband"
        survive(hyperband, recipe, folder, searches, draw)


if __name__ == "__main__":
    main()
