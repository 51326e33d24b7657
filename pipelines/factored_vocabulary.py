"""Source texts whose tokens have features, with vocabularies of their own."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_recurrent.pipelines.parted_vocabulary import PartedVocabulary
from keras_recurrent.pipelines.text.splitting import cleaned
from keras_recurrent.pipelines.vocabulary import Vocabulary


class FactoredVocabulary(Vocabulary):
    """Vocabulary of the tokens of texts, which knows those of their features.

    Of `houses|NOUN|plural were|VERB|plural`, with the separator `|` and two
    features, the tokens are `houses` and `were` (Sennrich & Haddow 2016,
    arXiv:1606.02892). One with more or fewer features has the unknown one of
    each. Case and characters of features stay as they are; what normalizing
    cuts in several tokens gives its features to each.

    Args:
        tokens, split, case, normalize, unknowns: see `Vocabulary`; `split` is
            `"words"`.
        features: vocabularies of the F features, in their order.
        feature_separator: what stands before each feature.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        split: str,
        case: str,
        normalize: Sequence[str],
        unknowns: int,
        *,
        features: Sequence[Vocabulary],
        feature_separator: str,
    ) -> None:
        super().__init__(tokens, split, case, normalize, unknowns)
        self.features = tuple(features)
        self.feature_separator = feature_separator

    def tokenize(self, texts: Any) -> tf.RaggedTensor:
        return self._tokens_and_features(texts)[0]

    @property
    def more(self) -> dict[str, Callable[[Any], tf.RaggedTensor]]:
        return {"features": self.encode_features} | super().more

    def encode_features(self, texts: Any) -> tf.RaggedTensor:
        """Turn texts (B,) into ids of features (B, None, F), int32."""
        tokens, features = self._tokens_and_features(texts)
        columns = tf.unstack(features, axis=1)
        ids = [
            vocabulary.number(column)
            for vocabulary, column in zip(self.features, columns, strict=True)
        ]
        return tokens.with_flat_values(tf.stack(ids, axis=1))

    def _tokens_and_features(
        self, texts: Any
    ) -> tuple[tf.RaggedTensor, tf.Tensor]:
        """Return tokens (B, …), N in all, and their features (N, F)."""
        words, features, _ = cut_off_features(
            texts, self.feature_separator, len(self.features)
        )
        tokens = super().tokenize(words.flat_values)  # (W, …)
        features = tf.gather(features, tokens.value_rowids())
        return words.with_values(tokens).merge_dims(1, 2), features


class PartedFactoredVocabulary(PartedVocabulary, FactoredVocabulary):
    """One of texts of two parts, with features behind the tokens of the first.

    Args:
        *args: see `Vocabulary`.
        **kwargs: those of both.
    """

    def encode_features(self, texts: Any) -> tf.RaggedTensor:
        return super().encode_features(self._first(texts))


def cut_off_features(
    texts: Any, separator: str, count: int
) -> tuple[tf.RaggedTensor, tf.Tensor, tf.Tensor]:
    """Cut what white space separates in texts (B,) into tokens and features.

    Args:
        texts: (B,), strings.
        separator: what stands before each feature.
        count: the number F of features.

    Returns:
        Tokens (B, …), W in all; their features (W, F), empty where there are
        more or fewer; and whether there are a token and F features (W,).
    """
    words = tf.strings.split(cleaned(texts, "keep"))
    parts = tf.strings.split(words.flat_values, separator)  # (W, …)
    as_many = parts.row_lengths() == 1 + count
    parts = parts.to_tensor("", shape=[None, 1 + count])
    tokens = parts[:, 0]
    features = tf.where(as_many[:, tf.newaxis], parts[:, 1:], "")
    return words.with_flat_values(tokens), features, as_many & (tokens != "")
