"""Texts cut into characters or words, and put together again."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_recurrent.pipelines.text.byte_pairs import SPACE
from keras_recurrent.pipelines.text.normalizing import Normalizer

# Says that there is no space between a token and its neighbour, and what
# stands for it in texts that have it.
_JOINER, _NO_JOINER = "\uffed", "\u25a0"
_MARK = r"([\p{P}\p{S}])"


def cleaned(texts: Any, case: str) -> tf.Tensor:
    """Return texts (B,) as UTF-8, in upper or lower case if asked for.

    Args:
        texts: (B,), strings. Bytes that are no UTF-8 become U+FFFD, as they
            could not be written to a file.
        case: `"keep"`, `"upper"` or `"lower"`, by the rules of Unicode.
    """
    texts = tf.convert_to_tensor(texts, tf.string)
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")
    if case == "upper":
        return tf.strings.upper(texts, encoding="utf-8")
    if case == "lower":
        return tf.strings.lower(texts, encoding="utf-8")
    return texts


def split_characters(texts: Any) -> tf.RaggedTensor:
    """Split texts (B,) into code points (B, …)."""
    return tf.strings.unicode_split(texts, "UTF-8")


def join_characters(tokens: Any) -> tf.Tensor:
    """Join (…, L) to (…)."""
    return tf.strings.reduce_join(tokens, axis=-1)


def split_words(texts: Any) -> tf.RaggedTensor:
    """Split texts (B,) at ASCII white space, (B, …)."""
    return tf.strings.split(texts)


def join_words(tokens: Any) -> tf.Tensor:
    """Join (…, L) with spaces to (…); empty tokens are none."""
    separated = tf.where(tokens == "", "", " " + tokens)
    joined = tf.strings.reduce_join(separated, axis=-1)
    return tf.strings.strip(joined)


def split_punctuation(texts: Any) -> tf.RaggedTensor:
    """Split texts (B,) at white space, and at punctuation and symbols.

    Each of these is a token of its own. Where there was no space beside it, it
    has U+FFED there: `(a, b)` becomes `(￭`, `a`, `￭,`, `b`, `￭)`. In texts that
    have it themselves, it becomes U+25A0.
    """
    replace = tf.strings.regex_replace
    texts = replace(texts, _JOINER, _NO_JOINER)
    texts = tf.strings.reduce_join(
        tf.strings.split(texts), axis=-1, separator=" "
    )
    texts = replace(" " + texts + " ", _MARK, rf"{_JOINER}\1{_JOINER}")
    for adjoining, once in (
        (f"{_JOINER}{{2}}", _JOINER),
        (f" {_JOINER}", " "),
        (f"{_JOINER} ", " "),
        (_JOINER + _MARK, rf" {_JOINER}\1"),
        (_MARK + _JOINER, rf"\1{_JOINER} "),
    ):
        texts = replace(texts, adjoining, once)
    return tf.strings.split(texts)


def join_punctuation(tokens: Any) -> tf.Tensor:
    """Join what `split_punctuation` has made, (…, L), to (…)."""
    return tf.strings.regex_replace(join_words(tokens), f" ?{_JOINER} ?", "")


# How texts are split, and joined again, by the name in the recipe. Subwords are
# made of words.
_SPLITS = {
    "characters": (split_characters, join_characters),
    "words": (split_words, join_words),
    "punctuation": (split_punctuation, join_punctuation),
    "subwords": (split_words, join_characters),
}
_CASES = ("keep", "upper", "lower")


class Splitter(tf.Module):
    """Splits texts into tokens, or into the words that have subwords.

    Args:
        split: `"characters"`, `"words"`, `"punctuation"` or `"subwords"`.
        case: `"keep"`, `"upper"` or `"lower"`, which comes first.
        normalize: See `Normalizer`, which comes second.

    Raises:
        ValueError: one of them is something else.
    """

    def __init__(
        self,
        split: str = "characters",
        case: str = "keep",
        normalize: Sequence[str] = (),
    ) -> None:
        super().__init__()
        for name, value, choices in (
            ("split", split, tuple(_SPLITS)),
            ("case", case, _CASES),
        ):
            if value not in choices:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(choices)}. "
                    f"Received: {value!r}"
                )
        self.split = split
        self.case = case
        self.normalizer = Normalizer(normalize)

    def __call__(self, texts: Any) -> tf.RaggedTensor:
        """Split texts (B,) into (B, …)."""
        texts = self.normalizer(cleaned(texts, self.case))
        return _SPLITS[self.split][0](texts)

    def join(self, tokens: Any) -> tf.Tensor:
        """Join tokens, subwords too, (…, L) to (…)."""
        texts = _SPLITS[self.split][1](tokens)
        if self.split == "subwords":
            spaced = tf.strings.regex_replace(texts, SPACE, " ")
            texts = tf.strings.strip(spaced)
        return self.normalizer.restored(texts)
