"""Grapheme to phoneme in eight languages: SIGMORPHON 2020, task 1.

    make results-g2p SIGMORPHON=folder

Trains `examples/pronunciation.yaml` on each language, with three seeds, and
decodes its test split once, with each model and with all three together. Beside
it the published figures of the LSTM of the task (Gorman et al., 2020, table 2).

    python benchmarks/results/g2p.py folder [--runs FOLDER]
        [--languages kor,...]
"""

import argparse
from pathlib import Path
from statistics import mean
from typing import Any

from runs import Experiment, Results, curves, with_spread

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "examples" / "pronunciation.yaml"
RESULTS = ROOT / "docs" / "results" / "g2p.jsonl"
# Names, and WER and PER of the LSTM encoder-decoder of the task.
LANGUAGES = {
    "arm": ("Armenian", 14.67, 3.49),
    "bul": ("Bulgarian", 31.11, 5.94),
    "fre": ("French", 6.22, 1.32),
    "gre": ("Greek", 18.89, 3.30),
    "hin": ("Hindi", 6.67, 1.47),
    "hun": ("Hungarian", 5.33, 1.18),
    "ice": ("Icelandic", 10.00, 2.36),
    "kor": ("Korean", 46.89, 16.78),
}
MEASURES = ("sequence_error_rate", "token_error_rate")


def files_of(language: str, data: Path) -> list[str]:
    """Return the overrides that name the files of a language."""
    names = {"train": "train", "validation": "dev", "test": "test"}
    return [
        f"data.files.{split}={data.resolve() / f'{language}_{name}.tsv'}"
        for split, name in names.items()
    ]


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The languages in Markdown, and the mean over all of them."""
    lines = [
        "| language | WER, one model | PER | WER, three together | PER "
        "| WER, published | PER | minutes a run |",
        "| --- |" + " ---: |" * 7,
    ]
    every = []
    for language, row in rows.items():
        name, *published = LANGUAGES[language]
        singles = [
            [run["test"][measure] for run in row["runs"]]
            for measure in MEASURES
        ]
        together = [row["ensemble"]["test"][measure] for measure in MEASURES]
        minutes = mean(run["minutes"] for run in row["runs"])
        every.append([*map(mean, singles), *together, *published, minutes])
        lines.append(
            f"| {name} | {' | '.join(map(with_spread, singles))} | "
            f"{' | '.join(f'{x:.2f}' for x in [*together, *published])} | "
            f"{minutes:.1f} |"
        )
    means = [mean(column) for column in zip(*every, strict=True)]
    figures = " | ".join(f"{value:.2f}" for value in means[:-1])
    lines.append(f"| mean | {figures} | {means[-1]:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sigmorphon", type=Path)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "g2p")
    parser.add_argument("--languages", default=",".join(LANGUAGES))
    arguments = parser.parse_args()
    chosen = arguments.languages.split(",")
    experiments = [
        Experiment(one, RECIPE, tuple(files_of(one, arguments.sigmorphon)))
        for one in chosen
    ]
    rows = Results(RESULTS).complete(experiments, arguments.runs)
    curves(rows, RESULTS.with_suffix(".svg"))
    print(table(rows))


if __name__ == "__main__":
    main()
