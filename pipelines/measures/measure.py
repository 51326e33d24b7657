"""What a measure is given, and what it gives."""

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple, Protocol

Tokenize = Callable[[Sequence[str]], Sequence[Sequence[Hashable]]]


class Outputs(NamedTuple):
    """Predictions and what they should have been."""

    predictions: Sequence[str]
    """N texts."""
    references: Sequence[Sequence[str]]
    """For each of them one or more texts, all of them right."""
    tokenize: Tokenize
    """Splits texts into what error rates count."""


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
