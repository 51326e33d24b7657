"""The command line: what can be given, and what is said of mistakes.

Longer than other files: it is what `--help` shows, command by command.
"""

import os
import re
import sys
import warnings
from enum import StrEnum
from itertools import takewhile
from pathlib import Path
from shlex import quote
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from keras_recurrent import commands
from keras_recurrent.version import __version__


class Layout(StrEnum):
    """How `predict` prints."""

    tsv = "tsv"
    text = "text"
    jsonl = "jsonl"


class _Commands(TyperGroup):
    """Shows mistakes of the user as one line instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        from keras_recurrent.pipelines.recipe import RecipeError
        from keras_recurrent.pipelines.run import RunError

        try:
            return super().invoke(ctx)
        except (RecipeError, RunError) as error:
            _fail(str(error), 2)
        except BrokenPipeError:
            raise
        except OSError as error:
            name = f"{error.filename}: " if error.filename else ""
            # h5py's go over several lines.
            _fail(
                f"{name}{' '.join((error.strerror or str(error)).split())}", 2
            )
        except KeyboardInterrupt:
            _fail("Interrupted. To go on, give the same command again.", 130)


class _TextsCommand(TyperCommand):
    """Says how a text is given that looks like an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = {name for p in self.get_params(ctx) for name in p.opts}
        for arg in takewhile(lambda arg: arg != "--", args):
            if arg.startswith("-") and arg not in {"-", *known}:
                _fail(
                    f"{arg!r} is no option. If it is a text, give it behind "
                    f"--, as in: keras-recurrent predict RUN -- {quote(arg)}",
                    2,
                )
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Commands,
    help="Recurrent sequence models with attention: train them, search for "
    "good settings, measure, predict and export. Start with "
    "`keras-recurrent demo`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

Recipe = Annotated[
    Path,
    typer.Argument(
        metavar="RECIPE", help="YAML file: what to train, on what, and how."
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Values that beat the recipe's, such as training.epochs=3.",
        show_default=False,
    ),
]
RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder that `train` made.")
]
OtherRuns = Annotated[
    list[Path] | None,
    typer.Option(
        "--with",
        metavar="RUN",
        help="Another run with the same vocabularies, to decode together: the "
        "probabilities of the models are averaged. Can be given several times.",
        show_default=False,
    ),
]
NewRunFolder = Annotated[
    Path | None,
    typer.Option(
        "--run",
        metavar="RUN",
        help="Folder for all results; runs/ and the recipe's name if not "
        "given. If it holds an unfinished run, that goes on; a finished one "
        "with a larger training.epochs too.",
        show_default=False,
    ),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: keras-recurrent demo")
def demo(
    run: Annotated[
        Path,
        typer.Option("--run", metavar="RUN", help="Folder for all results."),
    ] = Path("runs/demo"),
) -> None:
    """Learn to pronounce English words, from the search to a served model.

    Takes about 4 minutes on two cores. Interrupted and started again, it goes
    on where it was.
    """
    commands.load_tensorflow()
    from keras_recurrent.demo import run_demo

    run_demo(run)


@app.command(epilog="Example: keras-recurrent data examples/cmudict.yaml")
def data(
    recipe: Recipe,
    overrides: Overrides = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--picture",
            metavar="FILE",
            help="Where to draw the lengths; by default RECIPE.lengths.png, "
            "here.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show what a model will eat: counts, lengths, padding, unknown tokens.

    And ten pairs as the model will see them. Nothing is trained.
    """
    commands.data(recipe, overrides or (), picture)


@app.command(
    epilog="Examples: keras-recurrent prepare my.yaml prepared; "
    "keras-recurrent prepare my.yaml prepared --beam '--runner=DirectRunner "
    "--direct_num_workers=4'"
)
def prepare(
    recipe: Recipe,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Where the dataset is written to."
        ),
    ],
    overrides: Overrides = None,
    beam: Annotated[
        str | None,
        typer.Option(
            "--beam",
            metavar="OPTIONS",
            help="Read the files side by side by Apache Beam, with its options "
            "(needs keras-recurrent\\[beam]).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Turn files, also many and large ones, into TFRecord shards.

    They are checked, and composed by Unicode's form C where `normalize` says
    nfc. A recipe names the result as `data.folder`.
    """
    commands.prepare(recipe, overrides or (), folder, beam)


@app.command(
    epilog="Example: keras-recurrent train examples/cmudict.yaml "
    "model.cell=lstm --run runs/lstm"
)
def train(
    recipe: Recipe, overrides: Overrides = None, run: NewRunFolder = None
) -> None:
    """Train the model of a recipe.

    After each epoch the best model so far is in the run folder. An
    interrupted run goes on after its last whole epoch, on the same data. A
    finished one goes on if given more epochs.
    """
    commands.train(recipe, overrides or (), run)


@app.command(
    epilog="Example: keras-recurrent tune examples/cmudict.yaml "
    "tuning.max_trials=20"
)
def tune(
    recipe: Recipe, overrides: Overrides = None, run: NewRunFolder = None
) -> None:
    """Search for good hyperparameters and write a recipe with the best.

    What is tried stands in the recipe, under `tuning`. An interrupted search
    goes on with the trial that was interrupted.
    """
    commands.tune(recipe, overrides or (), run)


@app.command(
    epilog="Examples: keras-recurrent evaluate runs/demo "
    "decoding.beam_width=1; keras-recurrent evaluate runs/one --with runs/two"
)
def evaluate(
    run: RunFolder,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Values that beat the recipe's, such as "
            "decoding.beam_width=1 or evaluation.max_examples=100. All but "
            "decoding and evaluation was fixed in training.",
            show_default=False,
        ),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--files",
            metavar="FILE",
            help="Other pairs to measure it on: a tab-separated file, JSON "
            "lines or TFRecord. Can be given several times.",
            show_default=False,
        ),
    ] = None,
    parallel: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--parallel",
            metavar="SOURCES TARGETS",
            help="The same, as two files with a line for each pair.",
            show_default=False,
        ),
    ] = None,
    others: OtherRuns = None,
) -> None:
    """Measure a trained model on the test sets of its recipe.

    Also writes all predictions, hypotheses with scores and alignments, and a
    picture of the attention. Those of an ensemble are called after the other
    runs: evaluation+two.json.
    """
    commands.evaluate(run, overrides or (), files or (), parallel, others or ())


@app.command(epilog="Example: keras-recurrent compare runs/gru runs/lstm")
def compare(
    one: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run, evaluated.")
    ],
    other: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="Another, on the same test set."),
    ],
    name: Annotated[
        str, typer.Option("--set", metavar="NAME", help="The test set.")
    ] = "test",
) -> None:
    """Tell whether a run is better than another, or only luckier.

    By the measures of the first one's recipe.
    """
    commands.compare(one, other, name)


@app.command(
    cls=_TextsCommand,
    epilog="Examples: keras-recurrent predict runs/demo hello world; "
    "keras-recurrent predict runs/demo decoding.beam_width=1 < words.txt; "
    "keras-recurrent predict runs/demo --n-best 3 --scores --input words.txt",
)
def predict(
    run: RunFolder,
    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT|decoding.KEY=VALUE",
            help="Texts to work on; without any, the lines of standard input "
            "(so is a text given that looks like decoding.KEY=VALUE). Values "
            "of decoding beat the recipe's. A text that begins with a hyphen "
            "goes behind --.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help="Read the lines of a file, plain or gzipped (.gz).",
            show_default=False,
        ),
    ] = None,
    n_best: Annotated[
        int,
        typer.Option(
            "--n-best",
            metavar="N",
            min=1,
            help="Results of each text, at most decoding.beam_width.",
        ),
    ] = 1,
    scores: Annotated[
        bool,
        typer.Option("--scores", help="Add the log-probability of a result."),
    ] = False,
    alignments: Annotated[
        bool,
        typer.Option(
            "--alignments",
            help="Add i-j for each token j of a result that attended most to "
            "token i of the text.",
        ),
    ] = False,
    layout: Annotated[
        Layout,
        typer.Option(
            "--format",
            help="tsv: text, tab, result; text: results alone; jsonl: an "
            "object with all of it for each text.",
        ),
    ] = Layout.tsv,
    others: OtherRuns = None,
) -> None:
    """Print what a trained model makes of texts: text, tab, result.

    Texts are lines of UTF-8 without tabs, and so are results, in the same
    order.
    """
    given = text or []
    overrides = [t for t in given if re.match(r"decoding\.\w+=", t)]
    arguments = [os.fsencode(t) for t in given if t not in overrides]
    if file is not None and arguments:
        _fail("Give texts or --input, not both.", 2)
    columns = commands.Columns(layout.value, scores, alignments)
    commands.predict(
        run, overrides, arguments, file, n_best, columns, others or ()
    )


@app.command(
    epilog="Examples: keras-recurrent export runs/demo served/demo; "
    "keras-recurrent export runs/demo served/greedy decoding.beam_width=1"
)
def export(
    run: RunFolder,
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="New directory for the SavedModel."),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Values that beat the recipe's, such as "
            "decoding.beam_width=1. All but decoding was fixed in training.",
            show_default=False,
        ),
    ] = None,
    others: OtherRuns = None,
) -> None:
    """Write a trained model as a SavedModel that needs only TensorFlow.

    Its signature `serving_default` takes `text` and returns `predictions`,
    `scores`, `truncated` and `alignments`.
    """
    commands.export(run, directory, overrides or (), others or ())


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"Warning: {message}", file=sys.stderr, flush=True)


def main() -> None:
    # In one line, without a place in the code.
    warnings.showwarning = _show_warning
    app(prog_name="keras-recurrent")


def _fail(message: str, code: int) -> NoReturn:
    commands.say(message)
    raise typer.Exit(code)
