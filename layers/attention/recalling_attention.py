"""Additive attention that sees what it did before."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_recurrent.layers.attention.bahdanau_attention import (
    BahdanauAttention,
)
from keras_recurrent.layers.attention.memory import Memory


class RecallingAttention(BahdanauAttention):
    """What location-sensitive and coverage attention share.

        e_s = v·tanh(W_q·query + W_m·memory_s + recall(past)_s)

    where past (B, S), zeros before the first query, is made of the alignments
    of the queries before. A subclass defines `remember` and `recall`.
    """

    def remember(self, past: Any, alignments: Any) -> Any:
        """Return the past after a query.

        Args:
            past: That before it.
            alignments: Where the query looked, of the same shape.
        """
        raise NotImplementedError

    def recall(self, past: Any) -> Any:
        """Return what the past adds to the meeting of query and memory.

        Args:
            past: (B, K, S).

        Returns:
            (B, K, S, A).
        """
        raise NotImplementedError

    def get_initial_state(self, memory: Memory, rows: Any = None) -> list[Any]:
        shape = tf.shape(memory.values)
        rows = shape[0] if rows is None else rows
        return [
            tf.zeros((rows, shape[1]), self.compute_dtype),
            *super().get_initial_state(memory, rows),
        ]

    def next_state(self, state: list[Any], alignments: Any) -> list[Any]:
        past, *rest = state
        return [
            self.remember(past, alignments),
            *super().next_state(rest, alignments),
        ]

    def score(self, query: Any, keys: Any, state: Sequence[Any]) -> Any:
        meeting = query[:, :, tf.newaxis] + keys[:, tf.newaxis]
        return self._score(meeting + self.recall(state[0]))
