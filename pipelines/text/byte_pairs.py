"""Subwords: words cut to pieces as their pairs were merged in learning."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

# What stands for a space, at the beginning of a word, as in sentencepiece.
SPACE = "\u2581"

# The rank of a pair that is not merged.
_NEVER = 2**31 - 1


class Pieces(NamedTuple):
    """The pieces of words, one after the other."""

    numbers: tf.RaggedTensor
    """(N, …), int32: which piece, -1 for what there is no piece for."""
    starts: tf.RaggedTensor
    """(N, …), int32: the character of the word that each begins with."""


class BytePairs(tf.Module):
    """Byte pair encoding of a batch of words, in a graph.

    A word begins as its characters. Of all pairs of neighbours that make a
    piece together, the one that comes first among the pieces is merged, the
    leftmost if it is there more than once, and so on until no pair makes a
    piece. All words of a batch are merged at the same time, one pair of each
    in a turn.

    The segmentation is that of sentencepiece, for a model of the type `bpe`
    with the same pieces.

    Args:
        pieces: The pieces in the order of their ranks, single characters among
            them.

    References:
        Sennrich et al. (2016), arXiv:1508.07909.

    Example:

    >>> pairs = BytePairs(["ab", "abc", "a", "b", "c"])
    >>> numbers, starts = pairs(["abcab", "cxxb"])
    >>> numbers.to_list(), starts.to_list()
    ([[1, 0], [4, -1, 3]], [[0, 3], [0, 1, 3]])
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        super().__init__()
        numbers = {piece: i for i, piece in enumerate(pieces)}
        characters = [piece for piece in pieces if len(piece) == 1]
        self._characters = _table(
            characters, [numbers[piece] for piece in characters], tf.string, -1
        )
        # Whatever two pieces make a piece, however that was learned.
        self._size = len(pieces)
        keys, merged = [], []
        for piece, number in numbers.items():
            for cut in range(1, len(piece)):
                left, right = numbers.get(piece[:cut]), numbers.get(piece[cut:])
                if left is not None and right is not None:
                    keys.append(left * self._size + right)
                    merged.append(number)
        self._merged = _table(keys, merged, tf.int64, _NEVER)

    def __call__(self, words: Any) -> Pieces:
        """Cut words (N,), strings in UTF-8, none of them empty."""
        different, places = tf.unique(words)  # (W,), (N,)
        characters = tf.strings.unicode_split(different, "UTF-8")  # (W, …)
        found, is_start = self._merge(characters)  # (C,), (C,)
        # A run of characters without a piece is one unknown piece.
        unknown = is_start & (found < 0)
        is_first = tf.scatter_nd(
            characters.row_starts()[:, tf.newaxis],
            tf.ones_like(different, tf.bool),
            tf.shape(found, tf.int64),
        )
        is_start &= is_first | ~(unknown & tf.roll(unknown, 1, axis=0))
        starts = tf.ragged.range(characters.row_lengths())  # (W, …)
        numbers, starts = (
            tf.ragged.boolean_mask(
                characters.with_flat_values(flat),
                characters.with_flat_values(is_start),
            )
            for flat in (found, tf.cast(starts.flat_values, tf.int32))
        )
        return Pieces(tf.gather(numbers, places), tf.gather(starts, places))

    def _merge(self, characters: tf.RaggedTensor) -> tuple[Any, Any]:
        """Merge the pairs of W words.

        Args:
            characters: (W, …), C in all.

        Returns:
            At each character (C,), the number of the piece that begins with
            it, and whether one does.
        """
        words = tf.cast(characters.nrows(), tf.int32)
        numbers = self._characters.lookup(characters.flat_values)  # (C,)
        word = tf.cast(characters.value_rowids(), tf.int32)  # (C,)
        count = tf.size(numbers)

        # M symbols of the words that are not ready: which piece, in which
        # word, from which character on, and the rank of it with the next one.
        def turn(
            numbers: Any,
            word: Any,
            start: Any,
            rank: Any,
            found: Any,
            is_start: Any,
        ) -> tuple[Any, ...]:
            best = tf.math.unsorted_segment_min(rank, word, words)  # (W,)
            mine = tf.gather(best, word)  # (M,)
            # Words without a pair are done.
            done = mine == _NEVER
            where = tf.where(done)
            places = tf.gather_nd(start, where)[:, tf.newaxis]
            found = tf.tensor_scatter_nd_update(
                found, places, tf.gather_nd(numbers, where)
            )
            is_start = tf.tensor_scatter_nd_update(
                is_start, places, tf.ones_like(where[:, 0], tf.bool)
            )
            # The leftmost of the best pairs of each other word.
            symbols = tf.range(tf.size(numbers))
            at = tf.where((rank == mine) & ~done, symbols, _NEVER)
            at = tf.math.unsorted_segment_min(at, word, words)
            at = tf.boolean_mask(at, at < _NEVER)  # (P,), ascending
            merged = tf.gather(rank, at)
            numbers = tf.tensor_scatter_nd_update(
                numbers, at[:, tf.newaxis], merged
            )
            kept = tf.tensor_scatter_nd_update(
                ~done, 1 + at[:, tf.newaxis], tf.zeros_like(at, tf.bool)
            )
            left = tf.where(kept)[:, 0]
            numbers, word, start, rank = (
                tf.gather(x, left) for x in (numbers, word, start, rank)
            )
            # Where the merged ones are now, and where those before them are.
            at = tf.gather(tf.cumsum(tf.cast(kept, tf.int32)) - 1, at)
            pairs = tf.concat([tf.maximum(at - 1, 0), at], axis=0)
            rank = tf.tensor_scatter_nd_update(
                rank, pairs[:, tf.newaxis], self._ranks(numbers, word, pairs)
            )
            return numbers, word, start, rank, found, is_start

        *_, found, is_start = tf.while_loop(
            lambda numbers, *_: tf.size(numbers) > 0,
            turn,
            (
                numbers,
                word,
                tf.range(count),
                self._ranks(numbers, word, tf.range(count)),
                tf.fill([count], -1),
                tf.zeros([count], tf.bool),
            ),
            shape_invariants=(tf.TensorShape([None]),) * 6,
        )
        return found, is_start

    def _ranks(self, numbers: Any, word: Any, places: Any) -> Any:
        """Return the ranks of the pairs that begin at these places."""
        nexts = tf.minimum(places + 1, tf.size(numbers) - 1)
        left, right = tf.gather(numbers, places), tf.gather(numbers, nexts)
        known = (
            (left >= 0)
            & (right >= 0)
            & (nexts > places)
            & (tf.gather(word, places) == tf.gather(word, nexts))
        )
        keys = tf.cast(left, tf.int64) * self._size + tf.cast(right, tf.int64)
        return self._merged.lookup(tf.where(known, keys, -1))


def _table(keys: list, values: list[int], dtype: Any, default: int) -> Any:
    return tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(
            tf.constant(keys, dtype), tf.constant(values, tf.int32)
        ),
        default_value=default,
    )
