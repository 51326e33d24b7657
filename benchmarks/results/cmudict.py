"""Spelling to phonemes of English words: the CMU Pronouncing Dictionary.

    make results-cmudict

Trains `examples/cmudict_large.yaml` with three seeds, and decodes the 12,000
test words once, with each model and with all three together.

    python benchmarks/results/cmudict.py [--runs FOLDER]
"""

import argparse
from pathlib import Path

from g2p import MEASURES, ROOT
from runs import Experiment, Results, curves, with_spread

RECIPE = ROOT / "examples" / "cmudict_large.yaml"
RESULTS = ROOT / "docs" / "results" / "cmudict.jsonl"
# Of one model, or of several together.
PUBLISHED = {
    "LSTM of two layers of 512, g2p-seq2seq (2017)": (24.23, None),
    "3 layers of 512, Toshniwal & Livescu (2016)": (21.69, 5.04),
    "five of these together": (20.24, 4.69),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "cmudict")
    arguments = parser.parse_args()
    experiments = [Experiment("cmudict", RECIPE, ())]
    rows = Results(RESULTS).complete(experiments, arguments.runs)
    curves(rows, RESULTS.with_suffix(".svg"))
    (row,) = rows.values()
    print(f"{row['parameters']:,} trainable weights")
    print("| model | WER | PER | minutes a run |\n| --- | ---: | ---: | ---: |")
    errors = [
        with_spread(run["test"][measure] for run in row["runs"])
        for measure in MEASURES
    ]
    minutes = with_spread(run["minutes"] for run in row["runs"])
    print(f"| one model | {' | '.join(errors)} | {minutes} |")
    errors = [f"{row['ensemble']['test'][one]:.2f}" for one in MEASURES]
    print(f"| three together | {' | '.join(errors)} | |")
    for name, (words, phonemes) in PUBLISHED.items():
        print(f"| {name} | {words} | {phonemes or ''} | |")


if __name__ == "__main__":
    main()
