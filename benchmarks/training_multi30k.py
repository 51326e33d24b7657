"""The race of `training.py` on Multi30k: ours and Joey NMT."""

import math
import re
from collections import Counter
from collections.abc import Iterable
from itertools import chain
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


def multi30k(data: Path, folder: Path, python: Path | None) -> Task:
    """Translation with a GRU of 256 units, Bahdanau's scores, input feeding.

    8,000 joint subwords are learned beforehand, so that all read the same words
    in the same files. Joey NMT cannot but decode the validation sources, by
    greedy search, and measure BLEU; ours does so, too.
    """
    targets = segment(data, folder)
    batch, epochs, smoothing = 64, 2, 0.1
    sides = {
        split: {
            "source": str(folder / f"{split}.en"),
            "target": str(folder / f"{split}.de"),
        }
        for split in ("train", "val")
    }
    recipe = recipe_of(
        {"train": sides["train"], "validation": sides["val"]},
        source={"split": "words"},
        model={
            "query": "new_state",
            "input_feeding": True,
            "output_dropout": DROPOUT,
        },
        training={
            "epochs": epochs,
            "batch_size": batch,
            "label_smoothing": smoothing,
            "best_by": "bleu",
        },
        decoding={"beam_width": 1, "max_length": 60},
        evaluation={"tokenize": "none"},
    )
    half = recipe | {"model": recipe["model"] | {"dtype": "mixed_bfloat16"}}
    contestants = {"ours": ours(recipe), "ours, mixed_bfloat16": ours(half)}
    if python:
        contestants["Joey NMT 2.3"] = joeynmt(
            python, folder, targets, batch, epochs, smoothing
        )
    with (folder / "val.en").open(encoding="utf-8") as file:
        text = next(file).strip()
    tokens = sum(len(target) + 1 for target in targets)
    return Task("Multi30k", folder, epochs, tokens, text, contestants)


def joeynmt(
    python: Path,
    folder: Path,
    targets: list[list[str]],
    batch: int,
    epochs: int,
    smoothing: float,
) -> Contestant:
    """Joey NMT, on the files in a folder, of which those are the targets."""
    steps = math.ceil(len(targets) / batch)
    side = {"level": "word", "lowercase": False, "max_length": 100}
    layer = {
        "type": "recurrent",
        "rnn_type": "gru",
        "embeddings": {"embedding_dim": EMBEDDING, "dropout": DROPOUT},
        "hidden_size": UNITS,
        "dropout": DROPOUT,
    }
    config = {
        "name": "multi30k",
        "joeynmt_version": "2.3.0",
        "model_dir": "run",
        "use_cuda": False,
        "random_seed": 1,
        "data": {
            "train": str(folder / "train"),
            "dev": str(folder / "val"),
            "dataset_type": "plain",
            **{
                name: {
                    **side,
                    "lang": language,
                    "voc_file": str(folder / f"vocabulary.{language}"),
                }
                for name, language in (("src", "en"), ("trg", "de"))
            },
        },
        "testing": {
            "batch_size": batch,
            "batch_type": "sentence",
            "max_output_length": 60,
            "eval_metrics": ["bleu"],
            "sacrebleu_cfg": {"tokenize": "none"},
        },
        "training": {
            "optimizer": "adam",
            "learning_rate": RATE,
            # That is constant, for which there is no other name.
            "scheduling": "exponential",
            "decrease_factor": 1.0,
            "clip_grad_norm": 1.0,
            "batch_size": batch,
            "batch_type": "sentence",
            "early_stopping_metric": "loss",
            "epochs": epochs,
            # At the end of each epoch.
            "validation_freq": steps,
            "logging_freq": steps,
            "shuffle": True,
            "loss": "crossentropy",
            "normalization": "tokens",
            "label_smoothing": smoothing,
            "keep_best_ckpts": 1,
        },
        "model": {
            "initializer": "xavier_uniform",
            "bias_initializer": "zeros",
            "embed_initializer": "normal",
            "embed_init_weight": 0.1,
            "encoder": {**layer, "bidirectional": True},
            "decoder": {
                **layer,
                "hidden_dropout": DROPOUT,
                "attention": "bahdanau",
                "input_feeding": True,
                "init_hidden": "bridge",
            },
        },
    }
    # It counts four special tokens, too, and smooths over all but two.
    others = len(set(chain.from_iterable(targets))) + 4 - 2
    entropy = entropy_of_smoothed(smoothing, others)
    return Contestant(
        [
            str(python.absolute()),
            "-m",
            "joeynmt",
            "train",
            "config.yaml",
            "--skip-test",
        ],
        "import joeynmt.training",
        lambda run: write(run / "config.yaml", config),
        "total training loss",
        lambda run: [
            float(divergence) + entropy
            for divergence in re.findall(
                r"\bloss: ([\d.]+)",
                (run / "run" / "validations.txt").read_text(),
            )
        ],
    )


def segment(data: Path, folder: Path, longest: int = 60) -> list[list[str]]:
    """Write texts of subwords, and vocabularies; return training targets.

    Training pairs with more subwords than that on a side are left out.
    """
    from pipelines_python_worker import learned

    folder.mkdir(parents=True, exist_ok=True)
    pieces = learned(str(data))
    languages = ("en", "de")
    targets: list[list[str]] = []
    for split in ("train", "val"):
        sides = []
        for language in languages:
            with (data / f"{split}.{language}").open(encoding="utf-8") as file:
                texts = [line.rstrip("\n") for line in file]
            sides.append(pieces.encode(texts, out_type=str))
        pairs = list(zip(*sides, strict=True))
        if split == "train":
            pairs = [pair for pair in pairs if max(map(len, pair)) <= longest]
            targets = [target for _, target in pairs]
            for number, language in enumerate(languages):
                counts = Counter(
                    chain.from_iterable(pair[number] for pair in pairs)
                )
                words = [[word] for word, _ in counts.most_common()]
                write_lines(folder / f"vocabulary.{language}", words)
        for language, lines in zip(
            languages, zip(*pairs, strict=True), strict=True
        ):
            write_lines(folder / f"{split}.{language}", lines)
    return targets


def write_lines(path: Path, lines: Iterable[list[str]]) -> None:
    path.write_text("".join(" ".join(line) + "\n" for line in lines), "utf-8")


def entropy_of_smoothed(smoothing: float, others: int) -> float:
    """Of 1 − smoothing, and smoothing shared evenly by other classes."""
    right = 1 - smoothing
    return -right * math.log(right) - smoothing * math.log(smoothing / others)
