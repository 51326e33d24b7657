"""Which tokens of a target can be copied from where in its source."""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_recurrent.pipelines.vocabulary import Vocabulary


class CopiedTokens:
    """Gives each source position the id of its token in the target.

    Tokens that the target's vocabulary lacks get ids behind it, numbered in
    each source in the order in which they first occur there: the same word has
    another one in another sentence. So many there are at most; further ones
    keep the id of what is unknown.

    Args:
        source: Vocabulary of the sources.
        target: Vocabulary of the targets, for subwords the same.
        more: How many ids there are behind it.
    """

    def __init__(self, source: Vocabulary, target: Vocabulary, more: int):
        self.source = source
        self.target = target
        self.more = more

    def encode_pairs(self, sources: Any, targets: Any) -> "Encoded":
        """Encode texts (B,) of both sides."""
        if self.source.has_subwords:
            ids = self.source.encode(sources)
            return Encoded(ids, self.target.encode(targets), ids)
        tokens = [self.source.tokenize(sources), self.target.tokenize(targets)]
        copies, target = self._numbered(*tokens)
        ids = tf.ragged.map_flat_values(self.source.number, tokens[0])
        return Encoded(ids, target, copies)

    def encode_sources(self, sources: Any) -> tuple[Any, Any]:
        """Encode texts (B,); return their ids and what can be copied.

        Both (B, …).
        """
        nothing = tf.fill(tf.shape(sources), "")
        encoded = self.encode_pairs(sources, nothing)
        return encoded.source, encoded.copies

    def write(self, tokens: Any, ids: Any, sources: Any, copies: Any) -> Any:
        """Replace tokens that are outside of the vocabulary by the source's.

        Args:
            tokens: (B, K, L), strings.
            ids: (B, K, L), of which they are.
            sources: (B,), texts.
            copies: (B, S), padded.
        """
        same = ids[..., tf.newaxis] == copies[:, tf.newaxis, tf.newaxis]
        places = tf.argmax(tf.cast(same, tf.int8), axis=-1)  # (B, K, L)
        copied = tokens_at(places, self.source, sources)
        return tf.where(ids >= len(self.target), copied, tokens)

    def _numbered(
        self, sources: tf.RaggedTensor, targets: tf.RaggedTensor
    ) -> list[tf.RaggedTensor]:
        """Return the ids of tokens (B, …) of both sides in the target."""
        sides = [sources, targets]
        ids = [self.target.number(side.flat_values) for side in sides]
        unknown = [tf.where(self.target.is_unknown(side))[:, 0] for side in ids]
        rows = [
            tf.gather(side.value_rowids(), places)
            for side, places in zip(sides, unknown, strict=True)
        ]
        # The same word in the same sentence has the same key.
        keys = [
            tf.strings.join(
                [tf.strings.as_string(of), tf.gather(side.flat_values, places)],
                separator=" ",
            )
            for of, side, places in zip(rows, sides, unknown, strict=True)
        ]
        # Numbers go on from sentence to sentence, those of sources come first.
        numbers = tf.unique(tf.concat(keys, axis=0)).idx
        numbers = tf.split(numbers, [tf.size(key) for key in keys])
        count = tf.size(tf.unique(keys[0]).y)
        first = tf.math.unsorted_segment_min(
            numbers[0], rows[0], sources.nrows()
        )
        found = []
        for side, side_ids, of, number, places in zip(
            sides, ids, rows, numbers, unknown, strict=True
        ):
            within = number - tf.gather(first, of)  # in its sentence, from 0
            copied = (number < count) & (within < self.more)
            new = tf.where(
                copied, len(self.target) + within, tf.gather(side_ids, places)
            )
            flat = tf.tensor_scatter_nd_update(
                side_ids, places[:, tf.newaxis], new
            )
            found.append(side.with_flat_values(flat))
        return found


def tokens_at(places: Any, vocabulary: Vocabulary, texts: Any) -> Any:
    """Return the tokens of texts (B,) at places (B, …), strings."""
    tokens = vocabulary.tokenize(texts).to_tensor()  # (B, S)
    # A text of nothing has but padding to look at.
    tokens = tf.pad(tokens, [[0, 0], [0, 1]])
    return tf.gather(tokens, places, batch_dims=1)


class Encoded(NamedTuple):
    """The ids of pairs of texts, each (B, …)."""

    source: tf.RaggedTensor
    target: tf.RaggedTensor
    copies: tf.RaggedTensor
    """The token of the target that each source position is."""
