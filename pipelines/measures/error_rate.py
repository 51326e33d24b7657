"""Token and sequence error rates against one or several references."""

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

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
    edits = tokens = wrong = sequences = 0
    for hypothesis, choices in zip(hypotheses, references, strict=True):
        if not choices:
            raise ValueError(
                "every hypothesis must have a reference. "
                f"Received: none for {list(hypothesis)}"
            )
        distance, negative_length = min(
            (Levenshtein.distance(hypothesis, choice), -len(choice))
            for choice in choices
        )
        edits += distance
        tokens -= negative_length
        wrong += distance > 0
        sequences += 1
    if not tokens:
        raise ValueError(
            "the references must have tokens. Received: "
            f"{sequences} sequences with 0 tokens"
        )
    return ErrorRates(edits, tokens, wrong, sequences)
