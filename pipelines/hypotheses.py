"""What a model makes of texts, in plain Python."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import tensorflow as tf

from keras_recurrent.pipelines.predictor import Predictor

# Texts that are decoded at a time, and that are sorted by length before.
_BATCH, _WINDOW = 256, 4096


def hypotheses_of(
    predictor: Predictor, texts: Sequence[str]
) -> list[dict[str, Any]]:
    """Decode texts.

    Args:
        predictor: The model, which says how many hypotheses there are.
        texts: N texts.

    Returns:
        Of each text `hypotheses`, best first, with `text`, `score` (the
        log-probability) and `alignment`, and `truncated`, whether the best one
        was cut off. An alignment is in the format of Pharaoh: `i-j` says that
        token j of the output attended most to token i of the source, both
        counted from 0.
    """
    outputs = {
        name: value.numpy()
        for name, value in predictor.best(tf.constant(texts)).items()
    }
    found = []
    for number in range(len(texts)):
        kept = np.flatnonzero(np.isfinite(outputs["scores"][number]))
        hypotheses = [
            {
                "text": outputs["predictions"][number, k].decode(),
                "score": round(float(outputs["scores"][number, k]), 4),
                "alignment": pharaoh(
                    outputs["alignments"][number, k],
                    outputs["lengths"][number, k],
                ),
            }
            for k in kept
        ]
        truncated = bool(outputs["truncated"][number, 0])
        found.append({"hypotheses": hypotheses, "truncated": truncated})
    return found


def hypotheses_in_order(
    predictor: Predictor, texts: Iterable[str], one_by_one: bool = False
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each text with its hypotheses, in the order of the texts.

    They are read a window at a time, in which texts of like length are decoded
    together.

    Args:
        predictor: The model.
        texts: Any number of texts.
        one_by_one: Whether to answer each text before the next is read.
    """
    texts = iter(texts)
    while window := list(islice(texts, 1 if one_by_one else _WINDOW)):
        order = sorted(range(len(window)), key=lambda i: len(window[i]))
        found: dict[int, dict[str, Any]] = {}
        for start in range(0, len(window), _BATCH):
            numbers = order[start : start + _BATCH]
            batch = hypotheses_of(predictor, [window[i] for i in numbers])
            found.update(zip(numbers, batch, strict=True))
        for number, text in enumerate(window):
            yield text, found[number]


def pharaoh(alignments: np.ndarray, length: int) -> str:
    """Say to which source token each target token attended most.

    Args:
        alignments: (L, S).
        length: How many target tokens there are.
    """
    most = alignments[:length].argmax(axis=1)
    return " ".join(f"{i}-{j}" for j, i in enumerate(most))
