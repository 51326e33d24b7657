"""Batches as scripts make them: sentencepiece, lists, NumPy."""

import io
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import sentencepiece
from worker import serve

BATCH, POOL, START, END = 64, 100, 2, 3


def pairs(folder: str) -> Iterator[tuple[str, str]]:
    with (
        open(Path(folder) / "train.en", encoding="utf-8") as sources,
        open(Path(folder) / "train.de", encoding="utf-8") as targets,
    ):
        for source, target in zip(sources, targets, strict=True):
            yield source.rstrip("\n"), target.rstrip("\n")


def learned(folder: str) -> sentencepiece.SentencePieceProcessor:
    """Joint subwords, the same for all contestants."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(text for pair in pairs(folder) for text in pair),
        model_writer=model,
        model_type="bpe",
        vocab_size=7997,
        bos_id=-1,
        eos_id=-1,
        character_coverage=1.0,
        normalization_rule_name="identity",
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def padded(rows: list[list[int]]) -> np.ndarray:
    width = max(map(len, rows))
    ids = np.zeros((len(rows), width), "int32")
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
    return ids


def make(folder: str):
    pieces = learned(folder)

    def encoded() -> list[tuple[list[int], list[int]]]:
        found = []
        for source, target in pairs(folder):
            found.append(
                (
                    [4 + i for i in pieces.encode(source)],
                    [4 + i for i in pieces.encode(target)],
                )
            )
        return found

    examples = encoded()

    def first() -> None:
        epoch(encoded())

    def later() -> None:
        epoch(examples)

    def epoch(examples: list[tuple[list[int], list[int]]]) -> None:
        random.shuffle(examples)
        for start in range(0, len(examples), BATCH * POOL):
            pool = examples[start : start + BATCH * POOL]
            pool.sort(key=lambda pair: max(len(pair[0]), len(pair[1]) + 1))
            for first in range(0, len(pool), BATCH):
                batch = pool[first : first + BATCH]
                padded([source for source, _ in batch])
                padded([[START, *target] for _, target in batch])
                padded([[*target, END] for _, target in batch])

    return {"first": first, "later": later}


if __name__ == "__main__":
    serve(make)
