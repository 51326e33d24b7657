"""Translation: Multi30k, English to German and back.

    make results-translation MULTI30K=folder

Trains `examples/translation.yaml` with three seeds, and decodes the test sets
of 2016 and 2017 once, with each model and with all three together. Beside it
the published figures of a recurrent model on the same texts (LIUM-CVC; Caglayan
et al., 2017). Then the same recipe from German to English, with one seed: its
settings are for no language in particular.

    python benchmarks/results/translation.py folder [--runs FOLDER]
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from runs import Experiment, Results, curves, with_spread

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "examples" / "translation.yaml"
RESULTS = ROOT / "docs" / "results" / "translation.jsonl"
FILES = {
    "files.train": "train",
    "files.validation": "val",
    "files.test": "test_2016_flickr",
    "tests.test2017": "test_2017_flickr",
}
TESTS = ("test", "test2017")


def files_of(data: Path, source: str, target: str) -> Iterator[str]:
    """The overrides that name the files of two languages."""
    for key, name in FILES.items():
        text = data.resolve() / name
        yield f"data.{key}.source={text}.{source}"
        yield f"data.{key}.target={text}.{target}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("multi30k", type=Path)
    parser.add_argument(
        "--runs", type=Path, default=ROOT / "runs" / "translation"
    )
    arguments = parser.parse_args()
    experiments = [
        Experiment(
            f"{source}-{target}",
            RECIPE,
            tuple(files_of(arguments.multi30k, source, target)),
            seeds,
            TESTS,
        )
        for source, target, seeds in (
            ("en", "de", (0, 1, 2)),
            ("de", "en", (0,)),
        )
    ]
    rows = Results(RESULTS).complete(experiments, arguments.runs)
    curves(rows, RESULTS.with_suffix(".svg"))
    print("| languages | BLEU, test 2016 | test 2017 | minutes a run |")
    print("| --- | ---: | ---: | ---: |")
    for name, row in rows.items():
        bleu = [
            with_spread(run[test]["bleu"] for run in row["runs"])
            for test in TESTS
        ]
        minutes = with_spread(run["minutes"] for run in row["runs"])
        print(f"| {name} | {' | '.join(bleu)} | {minutes} |")
        if row["ensemble"]:
            together = " | ".join(
                f"{row['ensemble'][test]['bleu']:.2f}" for test in TESTS
            )
            print(f"| {name}, three together | {together} | |")
    print("| en-de, LIUM-CVC, one model | 39.00 | 31.25 | |")
    print("| en-de, LIUM-CVC, ensemble | 40.7 | 33.2 | |")


if __name__ == "__main__":
    main()
