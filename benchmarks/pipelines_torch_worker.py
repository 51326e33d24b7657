"""Batches by torch's `DataLoader`, with sentencepiece."""

import random
from typing import Any

import torch
from pipelines_python_worker import BATCH, END, POOL, START, learned, pairs
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset
from worker import serve


class Texts(Dataset):
    """Pairs, encoded when they are asked for."""

    def __init__(self, folder: str, pieces: Any) -> None:
        self.texts = list(pairs(folder))
        self.pieces = pieces
        # Known before, as samplers want it; so the words, not the subwords.
        self.lengths = [
            max(len(s.split()), len(t.split())) for s, t in self.texts
        ]

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        source, target = map(self.pieces.encode, self.texts[index])
        return torch.tensor(source) + 4, torch.tensor(target) + 4


class Ids(Dataset):
    """Pairs that are encoded already."""

    def __init__(self, texts: Texts) -> None:
        self.ids = [texts[index] for index in range(len(texts))]
        self.lengths = [max(len(s), len(t) + 1) for s, t in self.ids]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.ids[index]


def padded(batch: list) -> tuple[torch.Tensor, ...]:
    sources, targets = zip(*batch, strict=True)
    start, end = torch.tensor([START]), torch.tensor([END])
    return (
        pad_sequence(sources, batch_first=True),
        pad_sequence([torch.cat([start, t]) for t in targets], True),
        pad_sequence([torch.cat([t, end]) for t in targets], True),
    )


def make(folder: str):
    pieces = learned(folder)
    ids = Ids(Texts(folder, pieces))

    def order(data: Any) -> list[list[int]]:
        numbers = list(range(len(data)))
        random.shuffle(numbers)
        batches = []
        for start in range(0, len(numbers), BATCH * POOL):
            pool = numbers[start : start + BATCH * POOL]
            pool.sort(key=data.lengths.__getitem__)
            batches += [pool[i : i + BATCH] for i in range(0, len(pool), BATCH)]
        random.shuffle(batches)
        return batches

    def epoch(data: Any, workers: int) -> None:
        loader = DataLoader(
            data,
            batch_sampler=order(data),
            collate_fn=padded,
            num_workers=workers,
        )
        for _ in loader:
            pass

    return {
        "first": lambda: epoch(Texts(folder, pieces), 2),
        # Workers would take longer to send batches than to make them.
        "later": lambda: epoch(ids, 0),
    }


if __name__ == "__main__":
    serve(make)
