"""Characters that are written in several ways, written in one."""

import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import tensorflow as tf

# What there is beyond has neither accents nor widths.
_LAST = 0x20000
_HANGUL = range(0xAC00, 0xAC00 + 11_172)
_QUOTES = dict.fromkeys("\u2018\u2019\u201a\u201b\u2039\u203a\u00b4`", "'")
_QUOTES |= dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"')


def _width(text: str) -> str:
    """Wide letters of East Asia narrow, and narrow kana wide."""
    wide = "\uff00" <= text <= "\uffef" or text == "\u3000"
    return unicodedata.normalize("NFKC", text) if wide else text


def _spaces(text: str) -> str:
    return " " if unicodedata.category(text)[0] == "Z" else text


def _without_marks(text: str) -> str:
    parts = unicodedata.normalize("NFD", text)
    bare = "".join(c for c in parts if unicodedata.category(c) != "Mn")
    return unicodedata.normalize("NFC", bare)


def _jamo(text: str) -> str:
    is_syllable = len(text) == 1 and ord(text) in _HANGUL
    return unicodedata.normalize("NFD", text) if is_syllable else text


# In the order in which they are applied.
_MAPS: dict[str, Callable[[str], str]] = {
    "width": _width,
    "quotes": lambda text: _QUOTES.get(text, text),
    "spaces": _spaces,
    "marks": _without_marks,
    "jamo": _jamo,
}
NORMALIZATIONS = ("nfc", *_MAPS)


class Normalizer(tf.Module):
    """Normalizes texts in a graph, character by character.

    Args:
        names: Which of these, whatever their order:
            "nfc": a letter and its accent, or the jamo of a syllable, become
            one character, as in Unicode's form C if accents are in canonical
            order already (which sorting them would need);
            "width": full-width letters and digits, and half-width kana, as
            usual;
            "quotes": typographic quotes as ' and ";
            "spaces": all spaces and line separators of Unicode as a space;
            "marks": accents left out;
            "jamo": the syllables of Hangul as the letters that they consist
            of, two or three each.

    Raises:
        ValueError: a name is another one.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        unknown = [name for name in names if name not in NORMALIZATIONS]
        if unknown:
            raise ValueError(
                f"`normalize` must be of {', '.join(NORMALIZATIONS)}. "
                f"Received: {', '.join(unknown)}"
            )
        self._composed = _pairs_table(hangul=False) if "nfc" in names else None
        # Jamo that a model writes are put together again.
        self._joined = _pairs_table(hangul=True) if "jamo" in names else None
        maps = tuple(name for name in _MAPS if name in names)
        self._mapped: tuple[str, ...] = ()
        if maps:
            keys, self._mapped = zip(*_mapping(maps).items(), strict=True)
            codes = tf.constant([ord(key) for key in keys], tf.int32)
            # The place of a character in `_mapped`; of others -1.
            self._places = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    codes, tf.range(tf.size(codes))
                ),
                default_value=-1,
            )

    def __call__(self, texts: Any) -> tf.Tensor:
        """Normalize texts (B,), UTF-8."""
        if self._composed is not None:
            texts = _compose(texts, self._composed)
        if self._mapped:
            characters = tf.strings.unicode_split(texts, "UTF-8")
            codes = tf.strings.unicode_decode(texts, "UTF-8").flat_values
            places = self._places.lookup(codes)
            mapped = tf.gather(tf.constant(self._mapped), tf.maximum(places, 0))
            flat = tf.where(places < 0, characters.flat_values, mapped)
            texts = tf.strings.reduce_join(
                characters.with_flat_values(flat), axis=-1
            )
        return texts

    def restored(self, texts: Any) -> tf.Tensor:
        """Put the jamo of texts (…) together, if they were taken apart."""
        if self._joined is None:
            return texts
        flat = tf.reshape(texts, [-1])
        return tf.reshape(_compose(flat, self._joined), tf.shape(texts))


@lru_cache
def _mapping(names: tuple[str, ...]) -> dict[str, str]:
    """What becomes of those characters that are changed."""
    found = {}
    for code in range(_LAST):
        character = text = chr(code)
        if unicodedata.category(character) == "Cs":
            continue
        for name in names:
            text = "".join(map(_MAPS[name], text))
        if text != character:
            found[character] = text
    return found


@lru_cache
def _pairs(hangul: bool) -> dict[tuple[int, int], int]:
    """Pairs of characters that Unicode composes to one."""
    found = {}
    for code in _HANGUL if hangul else range(_LAST):
        parts = unicodedata.normalize("NFD", chr(code))
        # Of three and more parts, all but the last are composed before.
        first = unicodedata.normalize("NFC", parts[:-1])
        if (
            len(parts) > 1
            and len(first) == 1
            and unicodedata.normalize("NFC", parts) == chr(code)
        ):
            found[ord(first), ord(parts[-1])] = code
    return found


def _pairs_table(hangul: bool) -> Any:
    pairs = _pairs(hangul)
    keys = [first * 2**21 + second for first, second in pairs]
    return tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(
            tf.constant(keys, tf.int64),
            tf.constant(list(pairs.values()), tf.int32),
        ),
        default_value=-1,
    )


def _compose(texts: Any, table: Any) -> tf.Tensor:
    """Compose neighbours in texts (B,), from the left, until none can be."""
    codes = tf.strings.unicode_decode(texts, "UTF-8")
    rows = tf.cast(codes.value_rowids(), tf.int32)

    def composed(flat: Any, row: Any) -> Any:
        """What each character makes with the next, -1 for nothing."""
        keys = tf.cast(flat[:-1], tf.int64) * 2**21
        keys = tf.where(
            row[:-1] == row[1:], keys + tf.cast(flat[1:], tf.int64), -1
        )
        return tf.pad(table.lookup(keys), [[0, 1]], constant_values=-1)

    def turn(flat: Any, row: Any, made: Any) -> tuple[Any, ...]:
        merged = made >= 0
        # Not if the one before takes it.
        merged &= ~tf.pad(merged[:-1], [[1, 0]])
        flat = tf.where(merged, made, flat)
        kept = ~tf.pad(merged[:-1], [[1, 0]])
        flat, row = tf.boolean_mask(flat, kept), tf.boolean_mask(row, kept)
        return flat, row, composed(flat, row)

    flat, row, _ = tf.while_loop(
        lambda flat, row, made: tf.reduce_any(made >= 0),
        turn,
        (codes.flat_values, rows, composed(codes.flat_values, rows)),
        shape_invariants=(tf.TensorShape([None]),) * 3,
    )
    count = tf.shape(texts, tf.int64)[0]
    codes = tf.RaggedTensor.from_value_rowids(
        flat, tf.cast(row, tf.int64), nrows=count
    )
    return tf.strings.unicode_encode(codes, "UTF-8")
