"""What the commands do: load, run, print. TensorFlow is imported as needed.

Longer than other files: a function for each command.
"""

import gc
import gzip
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import typer

# Up to so many texts are decoded sooner without a graph of it.
_FEW = 8


class Columns(NamedTuple):
    """What `predict` prints of a text."""

    format: str
    """`tsv`, text and result; `text`, the result alone; `jsonl`, all."""
    scores: bool
    """Whether the log-probability of a result follows it."""
    alignments: bool
    """Whether its alignment follows, see `hypotheses_of`."""

    def rows(self, text: str, found: dict[str, Any]) -> str:
        """Return the lines of a text, one for each of its hypotheses."""
        from keras_recurrent.pipelines.text_lines import join_columns

        if self.format == "jsonl":
            line = json.dumps({"source": text, **found}, ensure_ascii=False)
            return f"{line}\n"
        lines = []
        for one in found["hypotheses"]:
            columns = [text] if self.format == "tsv" else []
            columns.append(one["text"])
            if self.scores:
                columns.append(f"{one['score']:.4f}")
            if self.alignments:
                columns.append(one["alignment"])
            lines.append(join_columns(columns))
        return "".join(lines)


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


def data(recipe: Path, overrides: Sequence[str], picture: Path | None) -> None:
    """Show what a model will eat."""
    from keras_recurrent.pipelines.recipe import load_recipe

    loaded = load_recipe(recipe, overrides)
    picture = picture or Path(f"{recipe.stem}.lengths.png")
    load_tensorflow()
    from rich.console import Console

    from keras_recurrent.pipelines.inspection import inspect

    print("Reading the data ...", flush=True)
    Console().print(inspect(loaded, picture).tables())
    print(f"Picture: {picture}")
    print(f"Next: keras-recurrent train {recipe}")


def prepare(
    recipe: Path, overrides: Sequence[str], folder: Path, beam: str | None
) -> None:
    """Turn the files of a recipe into a dataset."""
    from keras_recurrent.pipelines.recipe import load_recipe

    loaded = load_recipe(recipe, overrides)
    load_tensorflow()
    from keras_recurrent.pipelines.prepare import prepare

    dataset = prepare(loaded, folder, beam)
    print(f"Dataset: {dataset}")
    print(f"Next: in the recipe, `data: {{folder: {dataset.absolute()}}}`")


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


def evaluate(
    folder: Path,
    overrides: Sequence[str],
    files: Sequence[Path] = (),
    parallel: tuple[Path, Path] | None = None,
    others: Sequence[Path] = (),
) -> None:
    """Measure a trained model on the test sets of its recipe, or on files.

    With other runs, the ensemble of all.
    """
    run = _open_run(folder, overrides, ("decoding", "evaluation"))
    members = _open_others(others)
    load_tensorflow()
    from rich.console import Console

    from keras_recurrent.pipelines.evaluation import evaluate_pairs
    from keras_recurrent.pipelines.predictor import load_predictor
    from keras_recurrent.pipelines.recipe import ParallelFiles, RecipeError
    from keras_recurrent.pipelines.sources import (
        load_pairs,
        source_of_files,
    )

    data = run.recipe.data
    sets: dict[str, Any] = {path.name: path for path in files}
    if parallel is not None:
        source, target = parallel
        sets[source.name] = ParallelFiles(source=source, target=target)
    taken = {"test", *data.tests} & sets.keys()
    if taken or len(sets) < len(files) + (parallel is not None):
        raise RecipeError(
            "files to evaluate on must have different names, and none of "
            f"{', '.join(['test', *data.tests])}: results go by the names"
        )
    n_best = run.recipe.evaluation.n_best
    predictor = load_predictor(run, n_best, members)
    for name in sets or ("test", *data.tests):
        if sets:
            spec = sets[name]
            pairs = source_of_files(data, spec, name, data.malformed).pairs()
        else:
            pairs = load_pairs(data, name)
        evaluation = evaluate_pairs(run, predictor, name, pairs, members)
        Console().print(evaluation.table())
        for line in evaluation.signatures():
            print(line)
        written = run.evaluation_files(name, members)
        print(f"Numbers: {written.numbers}")
        print(f"Predictions: {written.predictions}")
        print(f"Hypotheses: {written.hypotheses}")
        print(f"Picture: {written.attention_picture}")
    together = "".join(f" --with {other}" for other in others)
    print(f"Next: keras-recurrent predict {folder}{together} TEXT")


def compare(one: Path, other: Path, name: str) -> None:
    """Tell whether one run is better than another, or only luckier."""
    first, second = (_open_run(folder, ()) for folder in (one, other))
    load_tensorflow()
    from rich.console import Console

    from keras_recurrent.pipelines import comparison

    Console().print(comparison.compare(first, second, name).table())


def predict(
    folder: Path,
    overrides: Sequence[str],
    arguments: Sequence[bytes],
    file: Path | None,
    n_best: int,
    columns: Columns,
    others: Sequence[Path] = (),
) -> None:
    """Print what a model makes of texts, or of the lines of a file.

    Args:
        folder: Of a trained run.
        overrides: Of `decoding`.
        arguments: The texts; standard input or the file is read if empty.
        file: To be read instead of standard input, also gzipped.
        n_best: How many results to print of each text.
        columns: What to print of a result.
        others: Folders of more runs, to decode together.
    """
    from keras_recurrent.pipelines.text_lines import read_single_column

    run = _open_run(folder, overrides)
    members = _open_others(others)
    where = "standard input" if file is None else str(file)
    texts: Iterable[str] = list(read_single_column(arguments, "text"))
    if not arguments:
        texts = read_single_column(_lines(file), f"{where}, line")
    load_tensorflow()
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from keras_recurrent.pipelines.eagerly import eagerly
    from keras_recurrent.pipelines.hypotheses import hypotheses_in_order
    from keras_recurrent.pipelines.lacking_parts import LackingParts
    from keras_recurrent.pipelines.predictor import load_predictor

    predictor = load_predictor(run, n_best, members)
    # At a terminal every line is answered at once.
    at_once = not arguments and file is None and sys.stdin.isatty()
    lacking = LackingParts(run.recipe)
    count = truncated = 0
    with (
        eagerly(0 < len(arguments) <= _FEW),
        Progress(
            TextColumn("{task.completed:,.0f} texts"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=at_once or sys.stdout.isatty() or not sys.stderr.isatty(),
        ) as progress,
    ):
        task = progress.add_task("", total=None)
        for text, found in hypotheses_in_order(predictor, texts, at_once):
            # As UTF-8, whatever the terminal's encoding is, as it was read.
            typer.echo(columns.rows(text, found).encode(), nl=False)
            count += 1
            lacking.add(text)
            truncated += found["truncated"]
            progress.advance(task)
    if not count:
        what = "Standard input" if file is None else str(file)
        say(f"{what} was empty: nothing to predict.")
    for line in lacking.lines():
        say(f"{line}.")
    if truncated:
        say(
            f"{truncated:,} of {count:,} results were cut at "
            f"decoding.max_length={run.recipe.decoding.max_length} tokens."
        )


def _lines(path: Path | None) -> Iterator[bytes]:
    if path is None:
        yield from sys.stdin.buffer
        return
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        yield from file


def export(
    folder: Path,
    directory: Path,
    overrides: Sequence[str],
    others: Sequence[Path] = (),
) -> None:
    """Write a trained model, or an ensemble, as a SavedModel."""
    run = _open_run(folder, overrides)
    members = _open_others(others)
    load_tensorflow()
    from keras_recurrent.pipelines.export import export

    export(run, directory, members)
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


def _open_others(folders: Sequence[Path]) -> list[Any]:
    """Open the runs that decode together with another one."""
    from keras_recurrent.pipelines.run import Run

    return [Run.open(folder) for folder in folders]


def load_tensorflow() -> None:
    """Import TensorFlow without the notices that it writes to stderr.

    And without looking for garbage on the way: it makes none, but half a
    million objects, which are looked through again and again otherwise.
    """
    if "tensorflow" in sys.modules:
        return  # What is frozen now would never be freed.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    stderr = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        # TensorFlow 2.21 writes some before it reads the level above.
        os.dup2(nowhere.fileno(), 2)
    gc.disable()
    try:
        import tensorflow  # noqa: F401
    finally:
        gc.freeze()
        gc.enable()
        os.dup2(stderr, 2)
        os.close(stderr)
