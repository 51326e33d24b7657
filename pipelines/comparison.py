"""Whether one run is better than another, or only luckier."""

from typing import NamedTuple

from rich.table import Table

from keras_recurrent.pipelines.measures import (
    Measured,
    Outputs,
    get_measures,
)
from keras_recurrent.pipelines.run import Run, RunError
from keras_recurrent.pipelines.text_lines import read_lines
from keras_recurrent.pipelines.vocabularies import load_vocabularies

# Without samples there is no test.
_RESAMPLES = 1000


class Comparison(NamedTuple):
    """What two runs reach, measure by measure."""

    name: str
    """Of the test set."""
    sentences: int
    runs: tuple[str, str]
    measured: list[tuple[Measured, Measured]]
    probabilities: list[float]
    """How probable each difference is by chance alone."""

    def table(self) -> Table:
        """For printing."""
        table = Table(
            title=f"{self.name}: {self.sentences:,} sources",
            caption="p: how probable such a difference is if neither is "
            "better, by paired bootstrap resampling.",
            min_width=70,
        )
        table.add_column("measure")
        for folder in self.runs:
            table.add_column(folder, justify="right")
        table.add_column("p", justify="right")
        for (one, other), p in zip(
            self.measured, self.probabilities, strict=True
        ):
            table.add_row(one.name, one.text(), other.text(), f"{p:.3f}")
        return table


def compare(one: Run, other: Run, name: str = "test") -> Comparison:
    """Compare what `evaluate` has kept of two runs.

    By the measures, and as many samples, of the first one's recipe.

    Args:
        one: A run that has been evaluated.
        other: Another one, on the same test set.
        name: Of the test set.

    Raises:
        RunError: one has not been evaluated, or on other sources or
            references.
    """
    predicted = [_read(run, name) for run in (one, other)]
    if predicted[0].keys() != predicted[1].keys():
        only = sorted(predicted[0].keys() ^ predicted[1].keys())[0]
        raise RunError(
            f"{one.folder} and {other.folder}: were evaluated on different "
            f"sources or references; {only[0]!r} is in one of them only, or "
            "with other references"
        )
    config = one.recipe.evaluation
    keys = list(predicted[0])
    _, target = load_vocabularies(one)
    first, second = (
        Outputs(
            [found[key] for key in keys],
            [references for _, references in keys],
            target.words,
        )
        for found in predicted
    )
    resamples = config.resamples or _RESAMPLES
    measures = get_measures(config).values()
    return Comparison(
        name,
        len(keys),
        (str(one.folder), str(other.folder)),
        [
            (m.measure(first, resamples), m.measure(second, resamples))
            for m in measures
        ],
        [m.compare(first, second, resamples) for m in measures],
    )


def _read(run: Run, name: str) -> dict[tuple[str, tuple[str, ...]], str]:
    """Return predictions by their source and its references."""
    path = run.evaluation_files(name).predictions
    if not path.exists():
        raise RunError(
            f"{run.folder}: has not been evaluated on {name!r}. First: "
            f"keras-recurrent evaluate {run.folder}"
        )
    found = {}
    with path.open("rb") as file:
        for number, line in read_lines(file, f"{path}, line"):
            if number == 1:  # the names of the columns
                continue
            columns = line.split("\t")
            if len(columns) < 3:
                raise RunError(
                    f"{path}, line {number}: damaged. Write it again: "
                    f"keras-recurrent evaluate {run.folder}"
                )
            source, prediction, _, *references = columns
            found[source, tuple(sorted(references))] = prediction
    return found
