"""All cells, attentions and queries on one language, of equal size.

    make results-cells SIGMORPHON=folder

Trains `examples/pronunciation.yaml` on Icelandic for 20 epochs, three seeds
each. All models have as many trainable weights as the GRU of 128 units with
Bahdanau's attention, within 4 %; `units`, multiples of 4, differ for that. What
else differs from the recipe is what their name says. Minutes are those of one
core with another run on the other.

    python benchmarks/results/cells.py folder [--runs FOLDER] [--only PATTERN]
"""

import argparse
import fnmatch
import math
from pathlib import Path
from statistics import mean

import numpy as np
from g2p import MEASURES, RECIPE, ROOT, files_of
from runs import Experiment, Results, with_spread

from keras_recurrent.layers.attention import ATTENTIONS
from keras_recurrent.layers.cells import CELLS
from keras_recurrent.pipelines import load_recipe
from keras_recurrent.pipelines.building import build_model

RESULTS = ROOT / "docs" / "results" / "cells.jsonl"
LANGUAGE, UNITS, EPOCHS = "ice", 128, 20
# Of sources and targets, about those of the language.
VOCABULARIES = (40, 80)
# Of Bahdanau's score.
PROBABILITIES = ("sparsemax", "monotonic")
QUERIES = {
    "new_state": ("model.query=new_state",),
    "new_state, input feeding": (
        "model.query=new_state",
        "model.input_feeding=true",
    ),
    "conditional": ("model.query=conditional",),
    "bottom_state, 2 layers": (
        "model.query=bottom_state",
        "model.decoder_layers=2",
    ),
}


def variants() -> dict[str, tuple[str, ...]]:
    """What differs from the GRU with Bahdanau's attention, by name."""
    return {
        **{f"cell {name}": (f"model.cell={name}",) for name in CELLS},
        **{
            f"attention {name}": (f"model.attention={name}",)
            for name in ATTENTIONS
            if name != "bahdanau"
        },
        **{
            f"attention bahdanau, {name}": (
                f"model.attention_options={{probability_fn: {name}}}",
            )
            for name in PROBABILITIES
        },
        **{f"query {name}": keys for name, keys in QUERIES.items()},
    }


def weights(settings: tuple[str, ...], units: int) -> int:
    """Return how many trainable weights such a model has."""
    recipe = load_recipe(
        RECIPE, ("model.cell=gru", *settings, f"model.units={units}")
    )
    model = build_model(recipe.model, *VOCABULARIES)
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def units_of(settings: tuple[str, ...], goal: int) -> int:
    """Return the number of units, a multiple of 4, with most nearly so many."""
    # A polynomial of the second degree, which three points tell.
    points = (64, 128, 192)
    counts = [weights(settings, units) for units in points]
    count = np.polynomial.Polynomial.fit(points, counts, 2)
    return min(range(4, 1024, 4), key=lambda units: abs(count(units) - goal))


def experiment(
    name: str, settings: tuple[str, ...], files: list[str], goal: int
) -> Experiment:
    units = units_of(settings, goal)
    return Experiment(
        name,
        RECIPE,
        (
            *files,
            *("model.cell=gru", f"training.epochs={EPOCHS}"),
            *(*settings, f"model.units={units}"),
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sigmorphon", type=Path)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "cells")
    parser.add_argument("--only", default="*")
    arguments = parser.parse_args()
    files, goal = files_of(LANGUAGE, arguments.sigmorphon), weights((), UNITS)
    experiments = [
        experiment(name, settings, files, goal)
        for name, settings in variants().items()
        if fnmatch.fnmatch(name, arguments.only)
    ]
    rows = Results(RESULTS).complete(experiments, arguments.runs)
    print("| model | units | weights | WER | PER | minutes | decoding, s |")
    print("| --- |" + " ---: |" * 6)
    for one in experiments:
        row = rows[one.name]
        runs = row["runs"]
        measured = " | ".join(
            with_spread([run["test"][measure] for run in runs])
            for measure in MEASURES
        )
        units = one.overrides[-1].partition("=")[2]
        print(
            f"| {one.name} | {units} | {row['parameters']:,} | {measured} | "
            f"{mean(run['minutes'] for run in runs):.1f} | "
            f"{mean(run['test']['seconds'] for run in runs):.1f} |"
        )


if __name__ == "__main__":
    main()
