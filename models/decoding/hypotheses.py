"""What decoding returns."""

from typing import Any, NamedTuple

import tensorflow as tf


class Hypotheses(NamedTuple):
    """The outputs found for a batch.

    Search returns them best first for each sentence.
    """

    ids: Any
    """(B, K, L) int32: the tokens with the end token, then zeros."""
    lengths: Any
    """(B, K) int32: the number of tokens before the end token."""
    log_probs: Any
    """(B, K) float32: the log-probability of the whole output."""
    scores: Any
    """(B, K) float32: what hypotheses are ranked by, see `Ranking`; the
    log-probability where nothing is ranked."""
    token_log_probs: Any
    """(B, K, L) float32: the log-probability of each token; zeros after the
    end."""
    alignments: Any
    """(B, K, L, S) float32: where each token looked; zeros after the end.
    S is 0 if the step returns no alignments."""
    copied: Any
    """(B, K, L) float32: how probable it was that a token was copied; zeros
    after the end, and of a decoder that does not copy."""


def lengths_of(ids: Any, end_id: int) -> Any:
    """Return the number of tokens before the end token, of ids (…, L)."""
    counts = (ids != 0) & (ids != end_id)
    return tf.math.count_nonzero(counts, axis=-1, dtype=tf.int32)
