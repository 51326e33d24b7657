"""What an output may and may not contain."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf


class Constraints(NamedTuple):
    """Rules for the tokens of an output.

    A token against the rules is never chosen; the probabilities of the others
    stay what the model says. A sentence for which nothing is left to choose
    ends, with the log-probability minus infinity.

    Example:

    >>> rules = Constraints(min_length=2, forbidden_ids=(1,))
    >>> # Nor is padding, 0, ever chosen.
    >>> rules.bar(tf.zeros((1, 4)), t=0, written=(), end_id=3).numpy()
    array([[-inf, -inf,   0., -inf]], dtype=float32)
    """

    min_length: int = 0
    """Fewest tokens before the end token."""
    no_repeat_ngram: int = 0
    """No sequence of so many tokens occurs twice; 0 allows all."""
    forbidden_ids: Sequence[int] = ()
    """Tokens that are never chosen, such as the unknown token."""
    prefix: Any = None
    """(B, P), integers, 0 where padded at the right: what the output starts
    with. It counts as part of the output, and no other rule bars it."""

    @property
    def empty(self) -> bool:
        """Whether there is no rule at all."""
        return (
            not self.min_length
            and not self.no_repeat_ngram
            and not len(self.forbidden_ids)
            and self.prefix is None
        )

    def for_rows(self, per_sentence: int, max_length: int) -> "Constraints":
        """Return the rules for `per_sentence` hypotheses of each sentence.

        Raises:
            ValueError: a number is negative, or the prefix has another rank.
        """
        for name in ("min_length", "no_repeat_ngram"):
            value = getattr(self, name)
            if value < 0:
                raise ValueError(
                    f"`{name}` must not be negative. Received: {name}={value}"
                )
        if self.prefix is None:
            return self
        prefix = tf.cast(self.prefix, tf.int32)
        if prefix.shape.rank != 2:
            raise ValueError(
                "`prefix` must have the shape (B, P). "
                f"Received: shape={prefix.shape}"
            )
        prefix = prefix[:, :max_length]
        rest = max_length - tf.shape(prefix)[1]
        prefix = tf.pad(prefix, [[0, 0], [0, rest]])  # (B, L)
        return self._replace(prefix=tf.repeat(prefix, per_sentence, axis=0))

    def bar(self, logits: Any, t: Any, written: Any, end_id: int) -> Any:
        """Set the logits of what may not come next to minus infinity.

        Args:
            logits: (R, V), of the next token.
            t: Number of tokens so far.
            written: (R, L), the tokens so far, then zeros; used by
                `no_repeat_ngram` alone.
            end_id: The token that ends an output.
        """
        tokens = tf.range(tf.shape(logits)[-1])
        barred = tokens == 0  # padding marks what comes after the end
        if len(self.forbidden_ids):
            forbidden = tf.constant(self.forbidden_ids, tf.int32)
            barred |= tf.reduce_any(tokens[:, tf.newaxis] == forbidden, 1)
        if self.min_length:
            barred |= (tokens == end_id) & (t < self.min_length)
        allowed = tf.where(barred, -float("inf"), logits)
        if self.no_repeat_ngram:
            allowed = _bar_repetition(allowed, t, written, self.no_repeat_ngram)
        if self.prefix is not None:
            forced = self.prefix[:, t, tf.newaxis]  # (R, 1)
            alone = tf.where(tokens == forced, logits, -float("inf"))
            allowed = tf.where(forced == 0, allowed, alone)
        return allowed


UNCONSTRAINED = Constraints()


def _bar_repetition(logits: Any, t: Any, written: Any, size: int) -> Any:
    """Bar the tokens that would complete an n-gram of `written` again."""
    windows = written.shape[1] - size + 1
    if windows < 1:
        return logits
    # Does what was written from here on equal the last `size - 1` tokens?
    match = tf.range(windows) <= t - size
    for j in range(size - 1):
        recent = written[:, tf.maximum(t - size + 1 + j, 0), tf.newaxis]
        match &= written[:, j : j + windows] == recent  # (R, windows)
    rows = tf.shape(written)[0]
    # Where there is no match, padding is barred: it is barred anyway.
    token = tf.where(match, written[:, size - 1 :], 0)
    row = tf.broadcast_to(tf.range(rows)[:, tf.newaxis], (rows, windows))
    return tf.tensor_scatter_nd_update(
        logits,
        tf.stack([row, token], axis=-1),
        tf.fill((rows, windows), -float("inf")),
    )
