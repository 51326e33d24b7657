"""Training by command, on real data: ours, Joey NMT, Yoyodyne.

    make bench-training MULTI30K=folder SIGMORPHON=folder

Multi30k (English to German) against Joey NMT, and Hungarian pronunciation of
SIGMORPHON 2020 against Yoyodyne. Each trains with the command that its users
type, in a process of its own, with the same sizes and batches and on the same
processor cores; the settings are in `training_multi30k.py` and
`training_sigmorphon.py`. They run in turn, A B C A B C …; figures are medians
over the turns.

- An epoch is all of the time from the end of one to the end of the next:
  batches, steps, validation, files that are kept. The first does not count.
- tokens/s are those of the targets, with the end of each, in such an epoch.
- "start" is how much longer the first epoch took, from the command on:
  imports, reading, vocabularies, building, compiling.
- "to loss L" is the time from the command until the end of the first epoch
  with a validation loss of at most L, the lowest that all came to in all turns.
- Losses are cross-entropies in nats per token of the validation targets. Where
  labels are smoothed, they are against the smoothed ones; to the divergence
  that Joey NMT prints, the entropy of these is added, which is the rest of it.
- "MiB" is the peak of resident memory above what importing the same takes.
- "processor" is how long all threads together computed or span in an epoch.
- "elsewhere" is how much of the cores other processes took: with more than a
  few per cent, times mean little.

Each training is written to a file as soon as it is done, and what stands in
that file is not run again: an interrupted benchmark goes on. In the end
`keras-recurrent predict RUN text` is timed, as typed, with our models.

    python benchmarks/training.py [--multi30k FOLDER --joeynmt PYTHON]
        [--sigmorphon FOLDER --yoyodyne PYTHON] [--turns 3] [--cores 2]
        [--results FILE]
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from training_multi30k import multi30k
from training_sigmorphon import sigmorphon
from training_task import Contestant, Task

PREDICTIONS = 5


def train(contestant: Contestant, task: Task, folder: Path) -> dict[str, Any]:
    """Run the command; return when epochs ended, losses, memory.

    Raises:
        SystemExit: the command failed, or did not do all epochs.
    """
    imports = peak_of([contestant.command[0], "-c", contestant.imports])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    contestant.prepare(folder)
    before, began = busy_seconds(), time.perf_counter()
    process = subprocess.Popen(
        contestant.command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    ends, worked, printed = [], [], []
    for line in process.stdout:
        printed.append(line)
        if contestant.ends_epoch in line:
            ends.append(time.perf_counter() - began)
            worked.append(processor_seconds(process.pid))
    # Its own: `RUSAGE_CHILDREN` is the largest of all that ran so far.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    took = time.perf_counter() - began
    if process.returncode or len(ends) != task.epochs:
        sys.exit(
            f"{' '.join(contestant.command)}: {len(ends)} of {task.epochs} "
            f"epochs were done:\n{''.join(printed[-30:])}"
        )
    others = busy_seconds() - before - usage.ru_utime - usage.ru_stime
    return {
        "ends": [round(end, 2) for end in ends],
        "processor": [round(seconds, 2) for seconds in worked],
        "losses": [round(loss, 4) for loss in contestant.losses(folder)],
        "mib": round(usage.ru_maxrss / 1024 - imports),
        "elsewhere": round(others / took / len(os.sched_getaffinity(0)), 3),
    }


def processor_seconds(process: int) -> float:
    """Return how long a process and those it started have computed."""
    path = Path(f"/proc/{process}")
    # Behind the name, which may have spaces.
    fields = (path / "stat").read_text().rpartition(")")[2].split()
    children = (path / "task" / str(process) / "children").read_text()
    ticks = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    return ticks + sum(processor_seconds(int(x)) for x in children.split())


def peak_of(command: list[str]) -> float:
    """Return the most memory, in MiB, that a command occupies."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: failed")
    return usage.ru_maxrss / 1024


def busy_seconds() -> float:
    """Return how long our processor cores have been busy, added up."""
    ticks = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *times = line.split()
        if name[:3] == "cpu" and name[3:].isdigit():
            if int(name[3:]) in os.sched_getaffinity(0):
                user, nice, system, _idle, _wait, irq, softirq = times[:7]
                ticks += sum(map(int, (user, nice, system, irq, softirq)))
    return ticks / os.sysconf("SC_CLK_TCK")


def pin(cores: int) -> None:
    """Give all that is started from here on the same cores and threads.

    torch and NumPy go by `OMP_NUM_THREADS`, TensorFlow by its own variables.
    """
    available = sorted(os.sched_getaffinity(0))
    if len(available) < cores:
        sys.exit(f"--cores {cores}: there are {len(available)}")
    os.sched_setaffinity(0, available[:cores])
    for name in (
        "OMP_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ):
        os.environ[name] = str(cores)
    os.environ |= {
        "PYTHONUNBUFFERED": "1",  # lines arrive when they are written
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "WANDB_MODE": "offline",
    }


def predict(task: Task, run: Path) -> float:
    """Return the median of the seconds that one prediction takes."""
    command = [sys.executable, "-m", "keras_recurrent", "predict", str(run)]
    taken = []
    for _ in range(PREDICTIONS):
        began = time.perf_counter()
        subprocess.run(
            [*command, task.text], check=True, stdout=subprocess.DEVNULL
        )
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


class Results:
    """What has been measured, in a file of one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: list[dict[str, Any]] = []
        if path.exists():
            lines = path.read_text().splitlines()
            self.found = [json.loads(line) for line in lines]

    def of(self, task: Task, name: str) -> list[dict[str, Any]]:
        """The turns of a contestant, with the same data and cores."""
        key = self._key(task, name)
        return [found for found in self.found if key.items() <= found.items()]

    def add(self, task: Task, name: str, measured: dict[str, Any]) -> None:
        result = self._key(task, name) | measured
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(result) + "\n")
        self.found.append(result)
        print(json.dumps(result), flush=True)

    def table(self, task: Task) -> str:
        """The medians in Markdown, the first contestant compared with all."""
        turns = {name: self.of(task, name) for name in task.contestants}
        everything = [turn for found in turns.values() for turn in found]
        goal = max(min(turn["losses"]) for turn in everything)
        lines = [
            f"| {task.name} | tokens/s | ours is faster by | epoch, s "
            f"| processor, s | start, s | loss | to loss {goal:.3f}, s "
            "| MiB | elsewhere |",
            "| --- |" + " ---: |" * 9,
        ]
        ours, *_ = (an_epoch(found, "ends") for found in turns.values())
        for name, found in turns.items():
            epoch = an_epoch(found, "ends")
            start = median(turn["ends"][0] for turn in found) - epoch
            loss = median(min(turn["losses"]) for turn in found)
            reached = median(until(turn, goal) for turn in found)
            lines.append(
                f"| {name} | {task.tokens / epoch:,.0f} | {epoch / ours:.2f} | "
                f"{epoch:.1f} | {an_epoch(found, 'processor'):.1f} | "
                f"{start:.1f} | {loss:.3f} | {reached:.0f} | "
                f"{median(turn['mib'] for turn in found):.0f} | "
                f"{median(turn['elsewhere'] for turn in found):.0%} |"
            )
        return "\n".join(lines)

    @staticmethod
    def _key(task: Task, name: str) -> dict[str, Any]:
        return {
            "task": task.name,
            "tokens": task.tokens,
            "cores": len(os.sched_getaffinity(0)),
            "contestant": name,
        }


def an_epoch(turns: list[dict[str, Any]], seconds: str) -> float:
    """The median over the turns of the mean of all epochs but the first."""
    return median(
        (turn[seconds][-1] - turn[seconds][0]) / (len(turn[seconds]) - 1)
        for turn in turns
    )


def until(turn: dict[str, Any], goal: float) -> float:
    """Seconds until the first epoch with such a loss."""
    both = zip(turn["ends"], turn["losses"], strict=True)
    return next(end for end, loss in both if loss <= goal)


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--multi30k", type=Path)
    parser.add_argument(
        "--joeynmt", type=Path, help="a Python that has Joey NMT"
    )
    parser.add_argument("--sigmorphon", type=Path)
    parser.add_argument(
        "--yoyodyne", type=Path, help="a Python that has Yoyodyne"
    )
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument(
        "--results", type=Path, default=Path(".bench/training.jsonl")
    )
    arguments = parser.parse_args()
    pin(arguments.cores)
    work = arguments.results.absolute().with_suffix("")
    tasks = []
    if arguments.sigmorphon:
        tasks.append(
            sigmorphon(
                arguments.sigmorphon.absolute(),
                work / "sigmorphon",
                arguments.yoyodyne,
            )
        )
    if arguments.multi30k:
        tasks.append(
            multi30k(arguments.multi30k, work / "multi30k", arguments.joeynmt)
        )
    results = Results(arguments.results)
    for turn in range(arguments.turns):
        for task in tasks:
            for name, contestant in task.contestants.items():
                if len(results.of(task, name)) <= turn:
                    measured = train(contestant, task, task.folder / name)
                    results.add(task, name, measured)
    for task in tasks:
        print(results.table(task))
        seconds = predict(task, task.folder / "ours" / "run")
        print(f"`predict RUN '{task.text}'`: {seconds:.1f} s\n", flush=True)


if __name__ == "__main__":
    main()
