"""Error rates as measures, with what resampling makes of them."""

from collections.abc import Callable

import numpy as np

from keras_recurrent.pipelines.measures.measure import Measured, Outputs

Statistics = Callable[[Outputs], np.ndarray]

# As sacrebleu has it.
_SEED = 12345
# Samples that are drawn at a time.
_CHUNK = 50


class Rate:
    """A share of what could have been: errors, or sentences.

    Args:
        name: What it is called in reports.
        counts: Makes of predictions (N, 2), for each what counts and out of how
            much.
        unit: What is counted, for the signature.
    """

    def __init__(self, name: str, counts: Statistics, unit: str) -> None:
        self.name = name
        self.counts = counts
        self.unit = unit

    def measure(self, outputs: Outputs, resamples: int) -> Measured:
        counts = self.counts(outputs)
        interval = None
        if resamples:
            low, high = np.quantile(
                _rate(resampled(counts, resamples)), (0.025, 0.975)
            )
            interval = (float(low), float(high))
        several = max(map(len, outputs.references)) > 1
        signature = f"nrefs:{'var' if several else 1}|unit:{self.unit}"
        if resamples:
            signature += f"|bs:{resamples}|seed:{_SEED}"
        value = float(_rate(counts.sum(axis=0)))
        return Measured(self.name, value, interval, True, signature)

    def compare(self, one: Outputs, other: Outputs, resamples: int) -> float:
        both = np.concatenate([self.counts(one), self.counts(other)], axis=1)
        total, drawn = both.sum(axis=0), resampled(both, resamples)
        difference = _rate(total[:2]) - _rate(total[2:])
        by_chance = _rate(drawn[:, :2]) - _rate(drawn[:, 2:])
        by_chance -= by_chance.mean()
        more = np.count_nonzero(abs(by_chance) >= abs(difference))
        return (more + 1) / (resamples + 1)


def token_errors(outputs: Outputs) -> np.ndarray:
    """Edits and tokens of the closest reference."""
    return outputs.token_edits


def character_errors(outputs: Outputs) -> np.ndarray:
    """Edits and characters of the closest reference."""
    return outputs.edits(lambda texts: [list(text) for text in texts])


def wrong_sequences(outputs: Outputs) -> np.ndarray:
    """Whether there is an edit, out of one."""
    edits = outputs.token_edits[:, 0]
    return np.stack([edits > 0, np.ones_like(edits)], axis=1).astype(np.int64)


def exact_matches(outputs: Outputs) -> np.ndarray:
    """Whether a text equals one of its references, out of one."""
    return np.array(
        [
            (prediction in choices, 1)
            for prediction, choices in zip(
                outputs.predictions, outputs.references, strict=True
            )
        ],
        np.int64,
    )


def resampled(counts: np.ndarray, resamples: int) -> np.ndarray:
    """Return the sums (R, K) of as many sentences, drawn with repetition.

    Args:
        counts: (N, K).
        resamples: The number R of samples.
    """
    draw = np.random.default_rng(_SEED)
    size = len(counts)
    sums = []
    for start in range(0, resamples, _CHUNK):
        rows = min(_CHUNK, resamples - start)
        drawn = draw.integers(size, size=(rows, size))
        times = np.stack([np.bincount(row, minlength=size) for row in drawn])
        sums.append(times @ counts)
    return np.concatenate(sums)


def _rate(sums: np.ndarray) -> np.ndarray:
    """Return (…) of (…, 2)."""
    return sums[..., 0] / np.maximum(sums[..., 1], 1)
