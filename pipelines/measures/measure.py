"""What a measure is given, and what it gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from keras_recurrent.pipelines.measures.error_rate import (
    Tokens,
    closest_edits,
)

Tokenize = Callable[[Sequence[str]], Sequence[Tokens]]


@dataclass(frozen=True)
class Outputs:
    """Predictions and what they should have been."""

    predictions: Sequence[str]
    """N texts."""
    references: Sequence[Sequence[str]]
    """For each of them one or more texts, all of them right."""
    tokenize: Tokenize
    """Splits texts into what error rates count."""

    @cached_property
    def token_edits(self) -> np.ndarray:
        """What `closest_edits` finds in tokens, (N, 2)."""
        return self.edits(self.tokenize)

    def edits(self, tokenize: Tokenize) -> np.ndarray:
        """What `closest_edits` finds in tokens of another kind, (N, 2)."""
        # Many texts at once are split much faster.
        every = [text for choices in self.references for text in choices]
        tokens = iter(tokenize(every))
        return closest_edits(
            tokenize(self.predictions),
            [[next(tokens) for _ in choices] for choices in self.references],
        )


class Measured(NamedTuple):
    """The value of a measure."""

    name: str
    """As it is called in reports."""
    value: float
    interval: tuple[float, float] | None
    """In which 95 % of the values lie that resampled sentences give."""
    percent: bool
    """Whether it is a share, rather than a score from 0 to 100."""
    signature: str
    """How it was measured, so that others can do the same."""

    def text(self) -> str:
        """The value with its interval."""

        def one(value: float) -> str:
            return f"{value:.2%}" if self.percent else f"{value:.2f}"

        if self.interval is None:
            return one(self.value)
        low, high = self.interval
        return f"{one(self.value)} ({one(low)} to {one(high)})"


class Measure(Protocol):
    """Measures predictions, of one system or of two."""

    def measure(self, outputs: Outputs, resamples: int) -> Measured:
        """Measure predictions.

        Args:
            outputs: What there is to be measured.
            resamples: From how many samples of the sentences to tell the
                interval; 0 tells none.
        """

    def compare(self, one: Outputs, other: Outputs, resamples: int) -> float:
        """Return how probable such a difference is by chance alone.

        By paired bootstrap resampling (Koehn 2004), as sacrebleu does it.

        Args:
            one: The predictions of one system.
            other: Those of another one for the same sentences.
            resamples: The number of samples.
        """
