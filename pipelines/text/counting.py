"""How often each token occurs, in texts that are read as a stream."""

from collections import Counter
from typing import Any

import tensorflow as tf

# Different tokens that are kept in memory at most: about 200 MB.
_MOST_TOKENS = 2_000_000


class TokenCounts:
    """The counts of tokens, given batch by batch.

    Memory grows with the number of different tokens alone. Beyond two millions
    of them, those that have been seen once are forgotten; `forgotten` says how
    many.
    """

    def __init__(self) -> None:
        self.counts: Counter[bytes] = Counter()
        self.forgotten = 0

    def add(self, tokens: Any) -> None:
        """Count tokens (N,), strings."""
        different, _, counts = tf.unique_with_counts(tokens)
        for token, count in zip(
            different.numpy().tolist(), counts.numpy().tolist(), strict=True
        ):
            self.counts[token] += count
        if len(self.counts) > _MOST_TOKENS:
            kept = Counter({t: n for t, n in self.counts.items() if n > 1})
            self.forgotten += len(self.counts) - len(kept)
            self.counts = kept

    def most_common(self, min_count: int = 1) -> list[str]:
        """Return the tokens, frequent ones first, then by alphabet."""
        # Bytes of UTF-8 sort like the code points they encode.
        order = sorted(
            (token for token, n in self.counts.items() if n >= min_count),
            key=lambda token: (-self.counts[token], token),
        )
        return [token.decode() for token in order]
