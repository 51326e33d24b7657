"""How hypotheses of different length are compared."""

from dataclasses import dataclass
from typing import Any, Literal

import tensorflow as tf

from keras_recurrent.models.decoding.hypotheses import Hypotheses

LengthPenalty = float | Literal["average"]

# Attention below this counts as none: the logarithm of zero ranks nothing.
_NO_ATTENTION = 1e-6


@dataclass(frozen=True)
class Ranking:
    """The score of a hypothesis, and how far it can still rise.

        score = log_prob / length_penalty + coverage_penalty

    where coverage counts as soon as an output has ended; one that goes on may
    still look at the rest of its source.

    Args:
        length_penalty: See `length_penalty`.
        coverage_penalty: The weight of `coverage_penalty`.
        source_mask: (B, S), boolean, the source positions to be covered;
            needed for the coverage penalty only.

    Raises:
        ValueError: a weight is negative or no number, or the coverage penalty
            lacks its mask.
    """

    length_penalty: LengthPenalty = 0.0
    coverage_penalty: float = 0.0
    source_mask: Any = None

    def __post_init__(self) -> None:
        weight = self.length_penalty
        if isinstance(weight, str) and weight != "average":
            raise ValueError(
                "`length_penalty` must be a number or 'average'. "
                f"Received: length_penalty={weight!r}"
            )
        for name in ("length_penalty", "coverage_penalty"):
            weight = getattr(self, name)
            if weight != "average" and weight < 0:
                raise ValueError(
                    f"`{name}` must not be negative. Received: {name}={weight}"
                )
        if self.coverage_penalty and self.source_mask is None:
            raise ValueError(
                "`coverage_penalty` needs `source_mask`, which says what is "
                "to be covered. Received: source_mask=None"
            )

    def score(self, log_probs: Any, tokens: Any) -> Any:
        """Return the scores of hypotheses, without the coverage penalty.

        Args:
            log_probs: Their log-probabilities.
            tokens: Integers, number of tokens, the end token included.
        """
        if self.length_penalty == 0:
            return log_probs
        return log_probs / length_penalty(tokens, self.length_penalty)

    def merit(self, log_probs: Any, tokens: Any, ended: Any) -> Any:
        """Return what hypotheses are ranked by when they get a token.

        One that just ends is ranked beside those that go on, so it is taken
        for what it is up to there: its length is that without the end token,
        and its coverage does not count yet. In the beam its score counts.

        Args:
            log_probs: Their log-probabilities.
            tokens: Integers, number of tokens, the end token included.
            ended: Booleans, whether the last token is the end token.
        """
        if self.length_penalty == "average":
            return self.score(log_probs, tokens)
        return self.score(log_probs, tokens - tf.cast(ended, tf.int32))

    def coverage(self, covered: Any) -> Any:
        """Return the coverage penalty (B, K) of what is covered (B, K, S)."""
        mask = self.source_mask[:, tf.newaxis]
        return coverage_penalty(covered, mask, self.coverage_penalty)

    def rescore(self, hypotheses: Hypotheses, end_id: int) -> Hypotheses:
        """Give hypotheses their scores, without sorting them anew."""
        tokens = tf.math.count_nonzero(hypotheses.ids, axis=-1)
        ended = tf.reduce_any(hypotheses.ids == end_id, axis=-1)
        scores = self.score(hypotheses.log_probs, tokens)
        if self.coverage_penalty:
            coverage = self.coverage(tf.reduce_sum(hypotheses.alignments, 2))
            scores += tf.where(ended, coverage, 0.0)
        return hypotheses._replace(scores=scores)

    def bound(self, log_probs: Any, max_length: int) -> Any:
        """Return what no continuation of the hypotheses can exceed.

        A log-probability only falls and is never positive, so dividing it by
        the penalty of the longest output is the best that can come of it; the
        coverage penalty is never positive either.
        """
        return self.score(log_probs, max_length)


def length_penalty(tokens: Any, weight: LengthPenalty) -> Any:
    """Return what a log-probability is divided by to rank it.

        penalty = ((5 + tokens) / 6) ** weight

    With weight 0 hypotheses are ranked by log-probability, and short ones
    win; the larger the weight, the longer the winners. With the weight
    "average" they are ranked by log-probability per token: penalty = tokens.

    Args:
        tokens: Integers, the number of tokens, the end token included.
        weight: A number, usually between 0 and 1, or "average".

    Returns:
        float32, the shape of `tokens`.

    Reference:
        Wu et al. (2016), arXiv:1609.08144, equation 14.
    """
    tokens = tf.cast(tokens, tf.float32)
    if weight == "average":
        return tokens
    return ((5.0 + tokens) / 6.0) ** weight


def coverage_penalty(covered: Any, mask: Any, weight: float) -> Any:
    """Return how much a hypothesis loses for what it has not looked at.

        penalty = weight · Σ_i log(min(covered_i, 1))

    with covered_i = Σ_t a_ti, all the attention that source position i got.
    A position without any attention costs most: 13.8 times the weight, as
    attention below 1e-6 counts as 1e-6.

    Args:
        covered: (…, S), the sum of the alignments over the output.
        mask: (…, S), boolean, the source positions that count.
        weight: Usually between 0 and 1.

    Returns:
        (…), never positive.

    Reference:
        Wu et al. (2016), arXiv:1609.08144, equation 14.
    """
    lost = tf.math.log(tf.clip_by_value(covered, _NO_ATTENTION, 1.0))
    return weight * tf.reduce_sum(tf.where(mask, lost, 0.0), axis=-1)
