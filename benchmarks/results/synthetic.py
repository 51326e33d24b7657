"""Does every cell learn what can be learned exactly?

    make results-synthetic

- copy, reverse: strings of 4 to 10 random letters, as they are and backwards;
- dates: 10,000 of the dataset `dates/en`, to ISO 8601. With these three, each
  registered cell, of 128 units, trains `examples/tab_separated.yaml`; what
  counts is the share of test outputs that are right.
- inflection: made-up verbs and their past tenses by rules like those of English
  ("plofry" to "plofried"). Test verbs are new, and half of them have a letter
  that never occurs in training: a model must copy it.
- adding: two numbers of 200 are marked, and their sum is wanted, of the LSTM,
  the GRU and the cells that need no loop, two layers of 64 units each with a
  dense one between. Always saying 1 costs 0.167; a mean squared error below
  0.01 on sequences that they never saw counts as solved, and ends the training.

    python benchmarks/results/synthetic.py [--runs FOLDER] [--tasks copy,adding]
        [--cells lstm,gru]
"""

import argparse
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from runs import Experiment, Results

from keras_recurrent.layers import RNN
from keras_recurrent.layers.cells import CELLS, get_cell

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "examples" / "tab_separated.yaml"
RESULTS = ROOT / "docs" / "results" / "synthetic.jsonl"
SIZES = {"train": 10_000, "validation": 500, "test": 1_000}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Letters of test verbs alone.
NEW = "àéîõüçñßøå"
STEPS, BATCH, UNITS = 200, 64, 64
# Of adding: the error is measured after so many batches, until it is solved.
SOLVED, MORE, LONGEST = 0.01, 250, 10_000


def word(draw: random.Random, shortest: int, longest: int) -> str:
    return "".join(draw.choices(LETTERS, k=draw.randint(shortest, longest)))


def copy(draw: random.Random, split: str) -> tuple[str, str]:
    text = word(draw, 4, 10)
    return text, text


def reverse(draw: random.Random, split: str) -> tuple[str, str]:
    text = word(draw, 4, 10)
    return text, text[::-1]


def inflection(draw: random.Random, split: str) -> tuple[str, str]:
    verb = word(draw, 4, 10)
    if split == "test" and draw.random() < 0.5:
        place = draw.randrange(len(verb) - 2)
        verb = verb[:place] + draw.choice(NEW) + verb[place + 1 :]
    if verb.endswith("e"):
        return verb, f"{verb}d"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb, f"{verb[:-1]}ied"
    if verb[-1] in "bdgmnprt" and verb[-2] in "aeiou":
        return verb, f"{verb}{verb[-1]}ed"
    return verb, f"{verb}ed"


TASKS: dict[str, Callable[[random.Random, str], tuple[str, str]]] = {
    "copy": copy,
    "reverse": reverse,
    "inflection": inflection,
}


def write(task: str, folder: Path) -> list[str]:
    """Write the pairs of a task; no source is in two splits.

    Returns:
        The overrides that name the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw, known, overrides = random.Random(0), set[str](), []
    for split, size in SIZES.items():
        path = folder / f"{task}.{split}.tsv"
        lines: list[str] = []
        while len(lines) < size:
            source, target = TASKS[task](draw, split)
            if source not in known:
                lines.append(f"{source}\t{target}\n")
            known.add(source)
        path.write_text("".join(lines), encoding="utf-8")
        overrides.append(f"data.files.{split}={path}")
    return overrides


def experiments(
    tasks: list[str], cells: list[str], folder: Path
) -> Iterator[Experiment]:
    common = (
        *("model.units=128", "model.embedding_dim=64"),
        *("training.batch_size=64", "training.schedule=one_cycle"),
        *("training.learning_rate=0.004", "training.patience=null"),
        *("decoding.max_length=20", "evaluation.measures=[exact_match]"),
    )
    copying = ("model.copying=true", "model.unknown_copies=4")
    for task in tasks:
        if task == "dates":
            data = ["data={dataset: dates/en, source: written, target: iso}"]
        else:
            data = write(task, folder / "data")
        epochs = 20 if task == "inflection" else 10
        settings = (*data, *common, f"training.epochs={epochs}")
        if task == "inflection":
            for name, more in (("copying", copying), ("not copying", ())):
                yield Experiment(
                    f"{task}, {name}", RECIPE, (*settings, *more), (0,)
                )
        else:
            for cell in cells:
                yield Experiment(
                    f"{task}, {cell}",
                    RECIPE,
                    (*settings, f"model.cell={cell}"),
                    (0,),
                )


def adding(draw: np.random.Generator, rows: int) -> tuple[Any, Any]:
    """Sequences (rows, T, 2) of numbers and marks, and sums (rows, 1)."""
    numbers = draw.random((rows, STEPS)).astype("float32")
    marks = np.zeros_like(numbers)
    half = STEPS // 2
    marks[np.arange(rows), draw.integers(0, half, rows)] = 1
    marks[np.arange(rows), draw.integers(half, STEPS, rows)] = 1
    sums = (numbers * marks).sum(axis=1, keepdims=True)
    return np.stack([numbers, marks], axis=-1), sums


def train_adding(cell: str) -> dict[str, float]:
    """Train two layers of a cell until they solve the task, or too long.

    Returns:
        The error on sequences that they never saw, and the batches it took.
    """
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((STEPS, 2)),
            RNN(get_cell(cell)(UNITS), return_sequences=True),
            # Without, two layers of the LRU were one linear map.
            keras.layers.Dense(UNITS, activation="relu"),
            RNN(get_cell(cell)(UNITS)),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-3, clipnorm=1.0), "mse")
    draw = np.random.default_rng(0)
    test = adding(draw, 2_000)
    batches, error = 0, 1.0
    while error >= SOLVED and batches < LONGEST:
        # New sequences each time: there is nothing to learn by heart.
        model.fit(*adding(draw, MORE * BATCH), batch_size=BATCH, verbose=0)
        batches += MORE
        error = model.evaluate(*test, verbose=0)
    return {"mse": error, "batches": batches}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--runs", type=Path, default=ROOT / "runs" / "synthetic"
    )
    parser.add_argument(
        "--tasks", default="copy,reverse,dates,inflection,adding"
    )
    parser.add_argument("--cells", default=",".join(CELLS))
    arguments = parser.parse_args()
    tasks, cells = arguments.tasks.split(","), arguments.cells.split(",")
    results = Results(RESULTS)
    texts = [task for task in tasks if task != "adding"]
    folder = arguments.runs.resolve()
    results.complete(list(experiments(texts, cells, folder)), folder)
    if "adding" in tasks:
        for cell in cells:
            name = f"adding, {cell}"
            wanted = cell in ("lstm", "gru") or get_cell(cell)(UNITS).parallel
            if not wanted:
                print(f"{name}: left out, as the cell needs a loop")
            elif name not in results.rows:
                results.add({"name": name, **train_adding(cell)})
    for name, row in results.rows.items():
        if "mse" in row:
            print(f"{name}: {row['mse']:.4f} after {row['batches']:,} batches")
        else:
            (run,) = row["runs"]
            print(f"{name}: {run['test']['exact_match']:.1f} %")


if __name__ == "__main__":
    main()
