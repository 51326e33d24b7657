"""Yoyodyne's attentive LSTM on the languages of `g2p.py`.

    make results-g2p-yoyodyne SIGMORPHON=folder

All by Yoyodyne's own defaults (embeddings of 128, 512 units, dropout 0.2, Adam
at 0.001, batches of 32, greedy decoding), and what its example configurations
propose for training: at most 100 epochs, an end when the validation loss has
not fallen for 10, gradients clipped to norm 3, and the model of the epoch with
the best accuracy on the validation words. One seed. It reads what the files
have; so Korean is read by syllables, and, in one more row, by their letters.

    python benchmarks/results/g2p_yoyodyne.py folder --python
        .bench/yoyodyne/bin/python [--runs FOLDER] [--languages kor,...]
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import time
import unicodedata
from pathlib import Path
from statistics import mean
from typing import Any

from g2p import LANGUAGES, ROOT
from runs import Results, threads_of_a_core

from keras_recurrent.pipelines import error_rates

RESULTS = ROOT / "docs" / "results" / "g2p_yoyodyne.jsonl"
LETTERS = "kor, letters"
EARLY_STOPPING = "lightning.pytorch.callbacks.EarlyStopping"
LOGGER = "lightning.pytorch.loggers.CSVLogger"


def config(files: dict[str, str]) -> dict[str, Any]:
    return {
        "seed_everything": 0,
        "trainer": {
            "max_epochs": 100,
            "accelerator": "cpu",
            "gradient_clip_val": 3,
            "enable_progress_bar": False,
            "callbacks": [
                {
                    "class_path": EARLY_STOPPING,
                    "init_args": {"monitor": "val_loss", "patience": 10},
                }
            ],
            "logger": {"class_path": LOGGER, "init_args": {"name": "log"}},
        },
        "model": {
            "class_path": "yoyodyne.models.SoftAttentionLSTMModel",
            "init_args": {
                "source_encoder": {
                    "class_path": "yoyodyne.models.modules.LSTMEncoder"
                }
            },
        },
        "data": {"model_dir": "run", "target_sep": " ", **files},
        "checkpoint": {"monitor": "val_accuracy", "mode": "max"},
        "prediction": {"path": "predicted.txt"},
    }


def pairs(path: Path) -> list[list[str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines]


def measured(
    name: str, sigmorphon: Path, folder: Path, python: Path
) -> dict[str, Any]:
    """Train on a language, decode its test words, and compare."""
    # What an interrupted training has left is not gone on from.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files, tests = {}, []
    for key, split in (("train", "train"), ("val", "dev"), ("predict", "test")):
        rows = pairs(sigmorphon / f"{name[:3]}_{split}.tsv")
        if key == "predict":
            tests = rows
        form = "NFD" if name == LETTERS else "NFC"
        path = folder / f"{split}.tsv"
        path.write_text(
            "".join(
                f"{unicodedata.normalize(form, word)}\t{phonemes}\n"
                for word, phonemes in rows
            ),
            encoding="utf-8",
        )
        files[key] = path.name
    (folder / "config.yaml").write_text(json.dumps(config(files)))
    # Not resolved: it is a link by which Python finds its packages.
    command = [
        str(python.absolute()),
        str(python.absolute().with_name("yoyodyne")),
    ]
    seconds = []
    for words in (
        ["fit", "--config", "config.yaml"],
        ["predict", "--config", "config.yaml", "--ckpt_path"],
    ):
        if words[0] == "predict":
            words.append(str(next(folder.resolve().glob("run/**/*.ckpt"))))
        begin = time.monotonic()
        with (folder / "log.txt").open("a") as log:
            subprocess.run(
                command + words,
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"WANDB_MODE": "offline"},
                check=True,
            )
        seconds.append(time.monotonic() - begin)
    with (folder / "run/log/version_0/metrics.csv").open() as file:
        losses = [
            round(float(row["val_loss"]), 4)
            for row in csv.DictReader(file)
            if row["val_loss"]
        ]
    predicted = (folder / "predicted.txt").read_text("utf-8").splitlines()
    # A word may have several pronunciations, in as many lines.
    references: dict[str, list[list[str]]] = {}
    hypotheses = {}
    for (word, phonemes), output in zip(tests, predicted, strict=True):
        references.setdefault(word, []).append(phonemes.split(" "))
        hypotheses[word] = output.split(" ")
    rates = error_rates(hypotheses.values(), references.values())
    return {
        "name": name,
        "minutes": round(seconds[0] / 60, 1),
        "val_loss": losses,
        "test": {
            "sequence_error_rate": round(100 * rates.sequence_error_rate, 3),
            "token_error_rate": round(100 * rates.token_error_rate, 3),
            "seconds": round(seconds[1], 1),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sigmorphon", type=Path)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "yoyodyne")
    parser.add_argument("--languages", default=",".join(LANGUAGES))
    arguments = parser.parse_args()
    names = arguments.languages.split(",")
    if "kor" in names:
        names.append(LETTERS)
    results = Results(RESULTS)
    with threads_of_a_core() as pool:
        missing = [name for name in names if name not in results.rows]
        running = [
            pool.submit(
                measured,
                name,
                arguments.sigmorphon,
                arguments.runs.resolve() / name.replace(", ", "_"),
                arguments.python,
            )
            for name in missing
        ]
        for one in running:
            results.add(one.result())
    print("| language | WER | PER | minutes |\n| --- | ---: | ---: | ---: |")
    columns = []
    for name in names:
        row = results.rows[name]
        figures = [
            row["test"]["sequence_error_rate"],
            row["test"]["token_error_rate"],
            row["minutes"],
        ]
        if name in LANGUAGES:
            columns.append(figures)
        shown = LANGUAGES[name][0] if name in LANGUAGES else "Korean, letters"
        print(f"| {shown} | {' | '.join(f'{x:.2f}' for x in figures)} |")
    means = [mean(column) for column in zip(*columns, strict=True)]
    shown = " | ".join(f"{x:.2f}" for x in means)
    print(f"| mean of {len(columns)} languages | {shown} |")


if __name__ == "__main__":
    main()
