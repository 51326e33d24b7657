"""Processes on this machine that train one model together."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


def cluster(count: int) -> list[dict[str, str]]:
    """The `TF_CONFIG` of so many workers, each as an environment."""
    workers = [f"localhost:{free_port()}" for _ in range(count)]
    tasks = [{"type": "worker", "index": index} for index in range(count)]
    return [
        {
            "TF_CONFIG": json.dumps(
                {"cluster": {"worker": workers}, "task": task}
            )
        }
        for task in tasks
    ]


def start(
    arguments: list[str], environment: dict[str, str], output: Path
) -> subprocess.Popen[bytes]:
    """Start Python; what it prints goes to a file."""
    with output.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=os.environ | environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
