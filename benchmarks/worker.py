"""One contestant in a process of its own, which runs when it is told to.

Needs nothing but the standard library, as contestants live in environments of
their own.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Worker:
    """A process that runs `script` with `python`, and what is asked of it."""

    def __init__(self, python: str | Path, script: str) -> None:
        self.process = subprocess.Popen(
            [str(python), str(Path(__file__).with_name(script))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONWARNINGS": "ignore",
                "TF_CPP_MIN_LOG_LEVEL": "3",
            },
        )

    def make(self, **work: Any) -> None:
        """Have it make ready for some work."""
        self._ask(make=work)

    def run(self, name: str) -> float:
        """Have it run one pass; return the milliseconds."""
        return self._ask(run=name)

    def peak_memory(self) -> float:
        """Return the most memory that it has occupied, in MB."""
        return self._ask(peak=True)

    def close(self) -> None:
        assert self.process.stdin  # noqa: S101
        self.process.stdin.close()
        self.process.wait()

    def _ask(self, **request: Any) -> Any:
        assert self.process.stdin and self.process.stdout  # noqa: S101
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.process.args} has ended")
        return json.loads(answer)


def serve(make: Callable[..., dict[str, Callable[[], Any]]]) -> None:
    """Answer requests from standard input, one line of JSON each.

    Args:
        make: Takes what describes the work; returns the passes by name.
    """
    passes: dict[str, Callable[[], Any]] = {}
    # Whatever the libraries print must not be taken for an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        answer = None
        if "make" in request:
            passes = make(**request["make"])
        elif "run" in request:
            start = time.perf_counter()
            passes[request["run"]]()
            answer = 1e3 * (time.perf_counter() - start)
        else:
            usage = resource.getrusage(resource.RUSAGE_SELF)
            answer = usage.ru_maxrss / 1024
        print(json.dumps(answer), file=answers, flush=True)
