"""Source texts of two parts, each with a vocabulary of its own."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_recurrent.pipelines.vocabulary import Vocabulary


class PartedVocabulary(Vocabulary):
    """Vocabulary of the first part of texts, which knows that of the second.

    Of `laufen#V;PST`, with the separator `#`, the second part is `V;PST`; of a
    text without a separator it is empty. Spaces around parts are none of them.
    All that a `Vocabulary` does it does with the first part.

    Args:
        tokens, split, case, normalize, unknowns: see `Vocabulary`.
        second: vocabulary of the second parts.
        separator: what stands between the parts; only its first one counts.
        **more: of a class that this one is mixed with.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        split: str,
        case: str,
        normalize: Sequence[str],
        unknowns: int,
        *,
        second: Vocabulary,
        separator: str,
        **more: Any,
    ) -> None:
        super().__init__(tokens, split, case, normalize, unknowns, **more)
        self.second = second
        self.separator = separator

    def tokenize(self, texts: Any) -> tf.RaggedTensor:
        return super().tokenize(self._first(texts))

    def words(self, texts: Any) -> list[list[bytes]]:
        return super().words(self._first(texts))

    def encode(self, texts: Any) -> tf.RaggedTensor:
        # Of characters and words it asks `tokenize`, which cuts by itself.
        return super().encode(self._first(texts))

    @property
    def more(self) -> dict[str, Callable[[Any], tf.RaggedTensor]]:
        return {"source_2": self.encode_second} | super().more

    def encode_second(self, texts: Any) -> tf.RaggedTensor:
        """Turn the second parts of texts (B,) into ids (B, None), int32."""
        return self.second.encode(cut_in_two(texts, self.separator)[1])

    def _first(self, texts: Any) -> tf.Tensor:
        return cut_in_two(texts, self.separator)[0]


def cut_in_two(texts: Any, separator: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Cut texts (B,) at the first separator; return both parts (B,)."""
    parts = tf.strings.split(texts, separator, maxsplit=1).to_tensor("")
    # There are two columns if any text has two parts, and one or none else.
    parts = tf.pad(parts, [[0, 0], [0, 2]], constant_values="")
    parts = tf.strings.strip(parts)
    return parts[:, 0], parts[:, 1]
