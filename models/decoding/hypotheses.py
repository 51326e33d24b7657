"""What decoding works with and what it returns."""

from collections.abc import Callable
from typing import Any, NamedTuple

Step = Callable[[Any, Any], tuple[Any, Any, Any]]
"""(ids, state) to (log_probs, alignments, state), see this package's page."""


class Hypotheses(NamedTuple):
    """The outputs found for a batch, best first for each sentence."""

    ids: Any
    """(B, K, L) int32: the tokens with the end token, then zeros."""
    lengths: Any
    """(B, K) int32: the number of tokens before the end token."""
    log_probs: Any
    """(B, K) float32: the log-probability of the whole output."""
    scores: Any
    """(B, K) float32: what hypotheses are ranked by, the log-probability
    over the length penalty."""
    alignments: Any
    """(B, K, L, S) float32: where each token looked; zeros after the end."""
