"""Does a training survive being killed? And what do its checkpoints cost?

    make bench-survival

A small model is trained by the command, once without interruption and then
again and again with `kill -9` at random moments, while it trains, validates or
writes, until it has been killed so many times; each run that is finished must
have the same weights, bit by bit, and the same history. Searches are killed in
the same way, and must end with the same results.

    python benchmarks/survival.py [--kills 50] [--seed 0]
"""

import argparse
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
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
  epochs: 6
  batch_size: 16
  learning_rate: 0.01
  schedule: cosine
  ema: 0.9
  best_by: token_error_rate
  checkpoint_steps: 5
evaluation: {resamples: 0}
tuning:
  max_trials: 4
  steps_per_epoch: 10
  space: {cell: [gru, lstm], units: [8, 16]}
"""
# Of a history, what is the same each time.
MEASURED = ("tokens_per_second", "seconds")


def write_task(folder: Path) -> Path:
    """Words to be spelled backwards."""
    draw = random.Random(0)
    for split, count in (("train", 640), ("validation", 64)):
        words = (
            "".join(draw.choices("abcd", k=draw.randint(1, 6)))
            for _ in range(count)
        )
        lines = [f"{word}\t{' '.join(word[::-1])}\n" for word in words]
        (folder / f"{split}.tsv").write_text("".join(lines))
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE)
    return recipe


def command(name: str, recipe: Path, run: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "keras_recurrent",
        name,
        str(recipe),
        "--run",
        str(run),
    ]


def finish(name: str, recipe: Path, run: Path) -> float:
    """Run a command to its end; return how long it took."""
    began = time.perf_counter()
    subprocess.run(command(name, recipe, run), check=True, capture_output=True)
    return time.perf_counter() - began


def killed(name: str, recipe: Path, run: Path, after: float) -> bool:
    """Kill a command after so many seconds; False if it ended before."""
    process = subprocess.Popen(
        command(name, recipe, run),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    if process.returncode:
        raise SystemExit(process.stderr.read().decode())
    return False


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
    name: str, recipe: Path, folder: Path, kills: int, draw: random.Random
) -> None:
    results = {"train": results_of_training, "tune": results_of_search}[name]
    whole = folder / f"whole-{name}"
    took = finish(name, recipe, whole)
    expected = results(whole)
    print(f"{name}: {took:.0f} s without interruption", flush=True)
    done = runs = different = 0
    while done < kills:
        run = folder / f"{name}-{runs}"
        # A run that needs so long to start has to be let go on at times.
        while done < kills and killed(
            name, recipe, run, draw.uniform(0.3 * took, took)
        ):
            done += 1
        finish(name, recipe, run)
        wrong = differing(results(run), expected)
        different += bool(wrong)
        runs += 1
        print(
            f"{name}: {done} kills, {runs} runs, {different} of them different "
            f"{wrong[:3]}",
            flush=True,
        )
        shutil.rmtree(run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        recipe = write_task(Path(folder))
        searches = arguments.kills // 5
        survive("train", recipe, Path(folder), arguments.kills, draw)
        survive("tune", recipe, Path(folder), searches, draw)


if __name__ == "__main__":
    main()
