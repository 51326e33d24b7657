"""What the commands do: load, run, print. TensorFlow is imported as needed."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import typer


def train(recipe: Path, overrides: Sequence[str], folder: Path | None) -> None:
    """Train the model of a recipe, or what is left of its epochs."""
    run = _new_run(recipe, overrides, folder, create=True)
    load_tensorflow()
    from keras_recurrent.pipelines.training import train

    print("Reading the data ...", flush=True)
    if not train(run):
        done, asked = len(run.history()), run.recipe.training.epochs
        print(
            f"{run.folder}: training is finished already, after {done} of "
            f"{asked} epochs."
        )
    print(f"Model: {run.model}")
    print(f"Picture: {run.training_picture}")
    print(f"Next: keras-recurrent evaluate {run.folder}")


def tune(recipe: Path, overrides: Sequence[str], folder: Path | None) -> None:
    """Search for good hyperparameters."""
    run = _new_run(recipe, overrides, folder, create=False)
    load_tensorflow()
    from rich.console import Console

    from keras_recurrent.tuning import results_table, tune

    print("Reading the data ...", flush=True)
    Console().print(results_table(tune(run)))
    print(f"Results: {run.search / 'results.csv'}")
    print(f"Best recipe: {run.best}")
    print(f"Next: keras-recurrent train {run.best} --run {run.folder}")


def evaluate(folder: Path, overrides: Sequence[str]) -> None:
    """Measure a trained model on the test split."""
    run = _open_run(folder, overrides, ("decoding", "evaluation"))
    load_tensorflow()
    from rich.console import Console

    from keras_recurrent.pipelines.evaluation import evaluate

    Console().print(evaluate(run).table())
    print(f"Predictions: {run.predictions}")
    print(f"Picture: {run.attention_picture}")
    print(f"Next: keras-recurrent predict {folder} TEXT")


def predict(
    folder: Path, overrides: Sequence[str], arguments: Sequence[bytes]
) -> None:
    """Print what a model makes of texts, or of the lines of standard input."""
    from keras_recurrent.pipelines.text_lines import (
        join_columns,
        read_single_column,
    )

    run = _open_run(folder, overrides)
    texts: Iterable[str] = list(read_single_column(arguments, "text"))
    if not arguments:
        texts = read_single_column(sys.stdin.buffer, "standard input, line")
    load_tensorflow()
    import tensorflow as tf

    from keras_recurrent.pipelines.predictor import load_predictor

    predictor = load_predictor(run)
    # At a terminal every line is answered at once.
    size = 1 if not arguments and sys.stdin.isatty() else 256
    count = truncated = 0
    for batch in _batched(texts, size):
        outputs = predictor(tf.constant(batch))
        predictions = [p.decode() for p in outputs["predictions"].numpy()]
        rows = map(join_columns, zip(batch, predictions, strict=True))
        # As UTF-8, whatever the terminal's encoding is, as it was read.
        typer.echo("".join(rows).encode(), nl=False)
        count += len(batch)
        truncated += int(outputs["truncated"].numpy().sum())
    if not count:
        say("Standard input was empty: nothing to predict.")
    if truncated:
        say(
            f"{truncated:,} of {count:,} results were cut at "
            f"decoding.max_length={run.recipe.decoding.max_length} tokens."
        )


def export(folder: Path, directory: Path, overrides: Sequence[str]) -> None:
    """Write a trained model as a SavedModel."""
    run = _open_run(folder, overrides)
    load_tensorflow()
    from keras_recurrent.pipelines.export import export

    export(run, directory)
    print(f"SavedModel: {directory}")


def say(message: str) -> None:
    """Tell the user what is no result."""
    print(f"keras-recurrent: {message}", file=sys.stderr)


def _new_run(
    recipe: Path, overrides: Sequence[str], folder: Path | None, create: bool
) -> Any:
    """Check the recipe before anything slow is imported."""
    from keras_recurrent.pipelines.recipe import load_recipe
    from keras_recurrent.pipelines.run import Run

    loaded = load_recipe(recipe, overrides)
    folder = folder or Path("runs") / recipe.stem
    return Run.create(loaded, folder) if create else Run(folder, loaded)


def _open_run(
    folder: Path,
    overrides: Sequence[str],
    sections: tuple[str, ...] = ("decoding",),
) -> Any:
    """Open a trained run, with other values for keys of `sections` only."""
    from keras_recurrent.pipelines.recipe import RecipeError, load_recipe
    from keras_recurrent.pipelines.run import Run

    opened = Run.open(folder)
    for override in overrides:
        if not override.startswith(tuple(f"{name}." for name in sections)):
            raise RecipeError(
                f"override {override!r}: expected a key of "
                f"{' or '.join(sections)}, such as decoding.beam_width=1; all "
                "other keys were fixed in training"
            )
    return Run(folder, load_recipe(opened.recipe_file, overrides))


def load_tensorflow() -> None:
    """Import TensorFlow without the notices that it writes to stderr."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    stderr = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        # TensorFlow 2.21 writes some before it reads the level above.
        os.dup2(nowhere.fileno(), 2)
    try:
        import tensorflow  # noqa: F401
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _batched(lines: Iterable[str], size: int) -> Iterator[list[str]]:
    lines = iter(lines)
    while batch := list(islice(lines, size)):
        yield batch
