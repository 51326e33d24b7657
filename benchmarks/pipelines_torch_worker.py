"""Batches by torch's `DataLoader`, with sentencepiece."""

import random

import torch
from pipelines_python_worker import BATCH, END, POOL, START, learned, pairs
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset
from worker import serve


class Pairs(Dataset):
    def __init__(self, folder: str) -> None:
        self.texts = list(pairs(folder))
        self.pieces = learned(folder)

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        source, target = map(self.pieces.encode, self.texts[index])
        return torch.tensor(source) + 4, torch.tensor(target) + 4


def padded(batch: list) -> tuple[torch.Tensor, ...]:
    sources, targets = zip(*batch, strict=True)
    start, end = torch.tensor([START]), torch.tensor([END])
    return (
        pad_sequence(sources, batch_first=True),
        pad_sequence([torch.cat([start, t]) for t in targets], True),
        pad_sequence([torch.cat([t, end]) for t in targets], True),
    )


def make(folder: str):
    data = Pairs(folder)
    # Known before, as samplers want it; so the words, not the subwords.
    lengths = [max(len(s.split()), len(t.split())) for s, t in data.texts]

    def order() -> list[list[int]]:
        numbers = list(range(len(data)))
        random.shuffle(numbers)
        batches = []
        for start in range(0, len(numbers), BATCH * POOL):
            pool = numbers[start : start + BATCH * POOL]
            pool.sort(key=lengths.__getitem__)
            batches += [pool[i : i + BATCH] for i in range(0, len(pool), BATCH)]
        random.shuffle(batches)
        return batches

    def epoch() -> None:
        loader = DataLoader(
            data, batch_sampler=order(), collate_fn=padded, num_workers=2
        )
        for _ in loader:
            pass

    return {"epoch": epoch}


if __name__ == "__main__":
    serve(make)
