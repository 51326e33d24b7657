"""How much faster two processes of one core each train than one.

    make bench-workers MULTI30K=folder

Trains `examples/translation.yaml` on some sentences of Multi30k by the command,
by one process on the first core and by two on the first two, which talk over
the loopback device. Of the epochs after the first, in which graphs are traced,
it tells the target tokens a second, and for how many seconds a core was at work
for a process. What else runs on a machine has workers wait for each other, and
so slows two down by more than one; these seconds hardly change by that.

    python benchmarks/workers.py folder [--examples 4000] [--epochs 3]
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
# Sentences of a batch.
BATCHES = (64, 256)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


def seconds_at_work(process: subprocess.Popen[bytes]) -> float:
    """Return for how long cores have worked for a process so far."""
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    ticks = stat.rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def epochs_of(folder: Path) -> list[dict[str, Any]]:
    file = folder / "metrics.jsonl"
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().splitlines()]


def speed(
    count: int, folder: Path, overrides: list[str], epochs: int
) -> tuple[float, float]:
    """Train by so many processes.

    Returns:
        The tokens a second, and the seconds of work of the process that has
        most, both of the epochs after the first.
    """
    addresses = [f"localhost:{free_port()}" for _ in range(count)]
    command = [
        *("-m", "keras_recurrent", "train"),
        str(ROOT / "examples/translation.yaml"),
        *("--run", str(folder)),
        *overrides,
    ]
    processes = []
    for index in range(count):
        environment = dict(os.environ)
        if count > 1:
            environment["TF_CONFIG"] = json.dumps(
                {
                    "cluster": {"worker": addresses},
                    "task": {"type": "worker", "index": index},
                }
            )
        # Only what is told of errors is of interest.
        processes.append(
            subprocess.Popen(
                ["taskset", "-c", str(index), sys.executable, *command],
                env=environment,
                stdout=subprocess.DEVNULL,
            )
        )
    began: list[float] = []
    ended: list[float] = []
    while len(epochs_of(folder)) < epochs:
        codes = [process.poll() for process in processes]
        if any(codes):
            sys.exit(f"A process has failed: exit codes {codes}")
        if epochs_of(folder):
            began = began or [seconds_at_work(one) for one in processes]
            ended = [seconds_at_work(one) for one in processes]
        time.sleep(0.05)
    for process in processes:
        process.wait()
    work = [b - a for a, b in zip(began, ended, strict=True)]
    later = epochs_of(folder)[1:]
    speeds = [epoch["tokens_per_second"] for epoch in later]
    return statistics.mean(speeds), max(work)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("multi30k", type=Path)
    parser.add_argument("--examples", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=3)
    arguments = parser.parse_args()
    shared = [
        f"training.max_examples={arguments.examples}",
        f"training.epochs={arguments.epochs}",
        "training.schedule=constant",
        "training.warmup_steps=0",
    ]
    for split, name in (("train", "train"), ("validation", "val")):
        for side, language in (("source", "en"), ("target", "de")):
            path = arguments.multi30k.absolute() / f"{name}.{language}"
            shared.append(f"data.files.{split}.{side}={path}")
    test = [
        one.replace(".validation.", ".test.")
        for one in shared
        if ".validation." in one
    ]
    shared += [*test, "data.tests={}"]
    print("| batch | processes | tokens/s | seconds of work, each |")
    print("| ---: | ---: | ---: | ---: |")
    for batch in BATCHES:
        for count in (1, 2):
            overrides = [*shared, f"training.batch_size={batch}"]
            with tempfile.TemporaryDirectory() as folder:
                run = Path(folder) / "run"
                found = speed(count, run, overrides, arguments.epochs)
            tokens, work = found
            print(
                f"| {batch} | {count} | {tokens:,.0f} | {work:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
