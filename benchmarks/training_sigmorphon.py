"""The race of `training.py` on pronunciation: ours and Yoyodyne."""

import csv
from pathlib import Path

from training_task import (
    DROPOUT,
    EMBEDDING,
    RATE,
    UNITS,
    Contestant,
    Task,
    ours,
    recipe_of,
    write,
)


def sigmorphon(data: Path, folder: Path, python: Path | None) -> Task:
    """Pronunciation with an LSTM of 256 units and Bahdanau's attention.

    Neither decodes while validating.
    """
    train, validation = data / "hun_train.tsv", data / "hun_dev.tsv"
    batch, epochs = 32, 10
    recipe = recipe_of(
        {"train": str(train), "validation": str(validation)},
        source={"split": "characters"},
        model={"cell": "lstm"},
        training={"epochs": epochs, "batch_size": batch},
    )
    contestants = {"ours": ours(recipe)}
    if python:
        contestants["Yoyodyne 0.5"] = yoyodyne(
            python, train, validation, batch, epochs
        )
    with train.open(encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    tokens = sum(len(target.split()) + 1 for _, target in rows)
    return Task("Hungarian", folder, epochs, tokens, rows[0][0], contestants)


def yoyodyne(
    python: Path, train: Path, validation: Path, batch: int, epochs: int
) -> Contestant:
    """Yoyodyne, on files with a word and its phonemes in a line."""
    config = {
        "seed_everything": 1,
        "trainer": {
            "max_epochs": epochs,
            "accelerator": "cpu",
            "gradient_clip_val": 1.0,
            "num_sanity_val_steps": 0,
            "enable_progress_bar": False,
            "logger": {
                "class_path": "lightning.pytorch.loggers.CSVLogger",
                "init_args": {"name": "log"},
            },
        },
        "model": {
            "class_path": "yoyodyne.models.SoftAttentionLSTMModel",
            "init_args": {
                "embedding_size": EMBEDDING,
                "decoder_hidden_size": UNITS,
                "decoder_dropout": DROPOUT,
                "source_encoder": {
                    "class_path": "yoyodyne.models.modules.LSTMEncoder",
                    "init_args": {
                        "embedding_size": EMBEDDING,
                        "hidden_size": UNITS,
                        "dropout": DROPOUT,
                        "bidirectional": True,
                    },
                },
                "optimizer": {
                    "class_path": "yoyodyne.optimizers.Adam",
                    "init_args": {"lr": RATE},
                },
            },
        },
        "data": {
            "model_dir": "run",
            "train": str(train),
            "val": str(validation),
            "target_sep": " ",
            "tie_embeddings": False,
            "batch_size": batch,
        },
        "checkpoint": {"monitor": "val_loss", "mode": "min", "verbose": True},
    }
    return Contestant(
        [
            # Not resolved: it is a link by which Python finds its packages.
            str(python.absolute()),
            str(python.absolute().with_name("yoyodyne")),
            *("fit", "--config", "config.yaml"),
        ],
        "import yoyodyne.cli.main",
        lambda run: write(run / "config.yaml", config),
        ", global step ",
        yoyodyne_losses,
    )


def yoyodyne_losses(folder: Path) -> list[float]:
    (path,) = folder.glob("run/log/version_0/metrics.csv")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return [float(row["val_loss"]) for row in rows if row["val_loss"]]
