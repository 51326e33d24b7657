"""Token and sequence error rates against one or several references."""

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple, Self

import numpy as np
from rapidfuzz.distance import Levenshtein

Tokens = Sequence[Hashable]


class ErrorRates(NamedTuple):
    """Counts over all sequences, and the rates that follow from them."""

    edits: int
    """Insertions, deletions and substitutions of tokens."""
    tokens: int
    """Tokens of the references that were compared with."""
    wrong: int
    """Sequences with at least one edit."""
    sequences: int

    @property
    def token_error_rate(self) -> float:
        """Edits per reference token; may exceed 1."""
        return self.edits / self.tokens

    @property
    def sequence_error_rate(self) -> float:
        return self.wrong / self.sequences

    @classmethod
    def from_edits(cls, counts: np.ndarray) -> Self:
        """Add up what `closest_edits` has found, (N, 2).

        Raises:
            ValueError: all references are empty.
        """
        edits, tokens = (int(total) for total in counts.sum(axis=0))
        if not tokens:
            raise ValueError(
                "the references must have tokens. Received: "
                f"{len(counts)} sequences with 0 tokens"
            )
        wrong = int(np.count_nonzero(counts[:, 0]))
        return cls(edits, tokens, wrong, len(counts))


def error_rates(
    hypotheses: Iterable[Tokens], references: Iterable[Sequence[Tokens]]
) -> ErrorRates:
    """Compare each hypothesis with the closest of its references.

    The token error rate (phoneme error rate, PER, when tokens are phonemes) is
    the sum of the edits over the sum of the lengths of those closest
    references; the sequence error rate (word error rate, WER, when sequences
    are words) is the share of hypotheses that equal none of their references.

    Args:
        hypotheses: a sequence of tokens each.
        references: for each hypothesis, the sequences that are right. Of
            equally close ones the longest counts, whatever their order.

    Raises:
        ValueError: there are no sequences, one is without references, there
            are not as many references as hypotheses, or all references are
            empty.
    """
    return ErrorRates.from_edits(closest_edits(hypotheses, references))


def closest_edits(
    hypotheses: Iterable[Tokens], references: Iterable[Sequence[Tokens]]
) -> np.ndarray:
    """Count the edits to the closest reference, and its tokens, (N, 2).

    Args:
        hypotheses: as in `error_rates`.
        references: as in `error_rates`.

    Raises:
        ValueError: a hypothesis is without references, or there are not as
            many references as hypotheses.
    """
    counts = []
    for hypothesis, choices in zip(hypotheses, references, strict=True):
        if not choices:
            raise ValueError(
                "every hypothesis must have a reference. "
                f"Received: none for {list(hypothesis)}"
            )
        edits, negative_length = min(
            (Levenshtein.distance(hypothesis, choice), -len(choice))
            for choice in choices
        )
        counts.append((edits, -negative_length))
    return np.array(counts, np.int64).reshape(-1, 2)
