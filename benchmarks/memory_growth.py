"""What does a search leave behind? Memory after each build, `fit` and clear.

    make bench-memory

Each layer has a process of its own, which 50 times builds a small model of
known length, trains it for an epoch, and calls `keras.backend.clear_session`,
as a search over many models does. MB a round is what the process occupies more
after the last round than after the tenth, when everything has been imported,
compiled and allocated once. Keras's own layers do the same beside.

    python benchmarks/memory_growth.py [--rounds 50]
"""

import argparse
import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

PAGE = os.sysconf("SC_PAGE_SIZE")
WARM_UP = 10
LAYERS = ("ours lstm", "keras lstm", "ours gru", "keras gru", "ours min_gru")


def occupied() -> float:
    """MB of memory of this process."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * PAGE / 1e6


def measure(name: str, rounds: int) -> None:
    """Print MB a round."""
    import keras
    import numpy as np

    from keras_recurrent.layers import RNN
    from keras_recurrent.layers.cells import get_cell

    x = np.random.rand(32, 10, 3).astype("float32")
    y = np.random.rand(32, 1).astype("float32")
    who, kind = name.split()

    def layer() -> Any:
        if who == "ours":
            return RNN(get_cell(kind)(16))
        return {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[kind](16)

    found = []
    for _ in range(rounds):
        model = keras.Sequential(
            [keras.Input((10, 3)), layer(), keras.layers.Dense(1)]
        )
        model.compile("adam", "mse")
        model.fit(x, y, verbose=0)
        del model
        keras.backend.clear_session()
        gc.collect()
        found.append(occupied())
    print((found[-1] - found[WARM_UP - 1]) / (rounds - WARM_UP))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--layer", choices=LAYERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.layer:
        measure(arguments.layer, arguments.rounds)
        return
    print("| layer | MB a round |\n| --- | ---: |")
    for name in LAYERS:
        command = [sys.executable, __file__, "--layer", name]
        command += ["--rounds", str(arguments.rounds)]
        run = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True
        )
        print(f"| {name} | {float(run.stdout.split()[-1]):.1f} |", flush=True)


if __name__ == "__main__":
    main()
