"""From text files to padded batches: ours, plain Python, torch, Joey NMT.

    make bench-pipelines MULTI30K=folder

All contestants read `train.en` and `train.de`, cut them into the same joint
subwords (8,000, learned by sentencepiece), put sentences of like length into
batches of 64, and pad. "Python" is what scripts do: sentencepiece line by line,
lists sorted by length in pools of 100 batches, NumPy. "torch" has the same in a
`Dataset` and a `DataLoader` with two worker processes. "Joey NMT" is its own
`load_data` and `make_iter`, which do not sort by length. In the first epoch all
begin with the files; in later ones with what they keep: ids, or texts in the
case of Joey NMT. They run in turn, as many times as asked for; the first turn,
in which libraries warm up, does not count. Tokens are subwords of both
languages, without padding.

Then what share of training, with the sizes of `make bench-seq2seq` (GRU of 256,
embeddings of 256, batches of 64), is waiting for the next batch.

Then how much memory a large corpus takes: as many generated pairs as asked for
are written to a file, and a process of its own counts their words, learns
subwords and goes through an epoch of batches. What it occupies at most, above
what it occupied when everything was imported, is printed in MiB.

    python benchmarks/pipelines.py MULTI30K [--turns 5] [--joeynmt PYTHON]
        [--pairs 5000000]
"""

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from rich.console import Console
from rich.table import Table
from worker import Worker

CONTESTANTS = {
    "ours": "pipelines_ours_worker.py",
    "Python": "pipelines_python_worker.py",
    "torch": "pipelines_torch_worker.py",
    "Joey NMT": "pipelines_joeynmt_worker.py",
}


# Training steps to compile for all shapes, and those that are timed.
_WARM_UP, _STEPS = 100, 200


def race(folder: Path, turns: int, joeynmt: str | None) -> None:
    """Print tokens a second of all contestants, and the ratios."""
    pythons = {"ours": sys.executable, "Python": sys.executable}
    if joeynmt:  # which has torch, too
        pythons |= {"torch": joeynmt, "Joey NMT": joeynmt}
    workers = {
        name: Worker(python, CONTESTANTS[name])
        for name, python in pythons.items()
    }
    for worker in workers.values():
        worker.make(folder=str(folder))
    passes = ("first", "later")
    times = {(name, which): [] for name in workers for which in passes}
    for turn in range(turns + 1):
        for name, which in times:
            milliseconds = workers[name].run(which)
            if turn:
                times[name, which].append(milliseconds)
    tokens = count_tokens(folder)
    table = Table(title=f"Multi30k, {tokens:,} tokens an epoch")
    for column in ("epoch", "", "seconds", "tokens/s", "ours is faster by"):
        table.add_column(column, justify="right")
    for which in passes:
        ours = np.array(times["ours", which])
        for name in workers:
            found = times[name, which]
            median = np.median(found) / 1e3
            ratio = np.median(np.array(found) / ours)
            table.add_row(
                which,
                name,
                f"{median:.2f}",
                f"{tokens / median:,.0f}",
                f"{ratio:.2f}",
            )
    Console().print(table)
    for worker in workers.values():
        worker.close()


def count_tokens(folder: Path) -> int:
    from pipelines_python_worker import learned, pairs

    pieces = learned(str(folder))
    return sum(
        len(pieces.encode(text)) for pair in pairs(str(folder)) for text in pair
    )


def wait(folder: Path) -> None:
    """Print what share of training steps is waiting for their batches."""
    from pipelines_ours_worker import load, vocabulary_of

    from keras_recurrent.models import (
        Decoder,
        Encoder,
        MaskedCrossentropy,
        Seq2Seq,
    )

    vocabulary = vocabulary_of(str(folder))
    batches, size = load(str(folder), vocabulary), len(vocabulary)
    model = Seq2Seq(Encoder(size, 256, 256), Decoder(size, 256, 256))
    model.compile("adam", MaskedCrossentropy())
    waited = trained = 0.0
    iterator = iter(batches)
    for step in range(_WARM_UP + _STEPS):
        began = time.perf_counter()
        batch = next(iterator)
        arrived = time.perf_counter()
        model.train_on_batch(*batch)
        if step >= _WARM_UP:
            waited += arrived - began
            trained += time.perf_counter() - arrived
    print(
        f"Of {_STEPS} training steps of {1e3 * trained / _STEPS:.0f} ms, "
        f"{waited / (waited + trained):.2%} of the time was waiting for data",
        flush=True,
    )


def write_corpus(path: Path, pairs: int) -> None:
    """Write pairs of sentences whose words are as frequent as Zipf has it."""
    draw = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [
        "".join(draw.choices(letters, k=draw.randint(2, 10)))
        for _ in range(200_000)
    ]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    with path.open("w") as file:
        for start in range(0, pairs, 10_000):
            drawn = iter(draw.choices(words, weights, k=160_000))
            for _ in range(min(10_000, pairs - start)):
                source = " ".join(next(drawn) for _ in range(8))
                target = " ".join(next(drawn) for _ in range(8))
                file.write(f"{source}\t{target}\n")


def occupy(path: Path) -> None:
    """Go through a corpus; print the peak of memory above the imports."""
    from keras_recurrent.pipelines.build_vocabularies import (
        build_vocabularies,
    )
    from keras_recurrent.pipelines.recipe import Recipe
    from keras_recurrent.pipelines.splits import load_splits, within_limits
    from keras_recurrent.pipelines.training import (
        training_batches,
    )

    def peak() -> float:
        # `getrusage` would begin with what the process that started this one
        # has occupied.
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024

    files = dict.fromkeys(("train", "validation", "test"), path)
    small = path.with_name("small.tsv")
    files |= {"validation": small, "test": small}
    text = {"split": "subwords", "max_size": 8000}
    recipe = Recipe.model_validate(
        {
            "data": {"files": files},
            "source": text,
            "target": text,
            "joint_vocabulary": True,
        }
    )
    before = peak()
    splits = load_splits(recipe)
    print(f"checked: {peak() - before:.0f} MiB", flush=True)
    vocabularies = build_vocabularies(recipe, splits.pairs["train"])
    print(f"subwords learned: {peak() - before:.0f} MiB", flush=True)
    splits, _ = within_limits(recipe, vocabularies, splits)
    print(f"lengths counted: {peak() - before:.0f} MiB", flush=True)
    pairs = splits.pairs["train"]
    rows = 0
    for _, labels in training_batches(pairs, *vocabularies, 64):
        rows += labels.shape[0]
    print(f"{rows:,} pairs in batches: {peak() - before:.0f} MiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("multi30k", type=Path)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--joeynmt", help="a Python that has Joey NMT")
    parser.add_argument("--pairs", type=int, default=5_000_000)
    parser.add_argument("--occupy", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.occupy:
        occupy(arguments.occupy)
        return
    race(arguments.multi30k, arguments.turns, arguments.joeynmt)
    wait(arguments.multi30k)
    if arguments.pairs:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "corpus.tsv"
            write_corpus(path, arguments.pairs)
            (Path(folder) / "small.tsv").write_text("a\tb\n")
            megabytes = path.stat().st_size / 1e6
            print(f"{arguments.pairs:,} pairs, {megabytes:.0f} MB", flush=True)
            subprocess.run(
                [sys.executable, __file__, "-", "--occupy", str(path)],
                check=True,
            )


if __name__ == "__main__":
    main()
