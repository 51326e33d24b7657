"""Text to token ids and back, inside TensorFlow graphs."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self

import tensorflow as tf

from keras_recurrent.pipelines.text.byte_pairs import SPACE, BytePairs, Pieces
from keras_recurrent.pipelines.text.counting import TokenCounts
from keras_recurrent.pipelines.text.learn_byte_pairs import learn_byte_pairs
from keras_recurrent.pipelines.text.splitting import Splitter

# The special ids come first, in this order. None of them is the id of a token
# of any text, whatever the text says.
PAD_ID, UNKNOWN_ID, START_ID, END_ID = range(4)
_UNKNOWN = "[UNK]"
_SPECIALS = ("", _UNKNOWN, "", "")  # as decoded
_ESCAPES = {"\\": r"\\", "\n": r"\n", "\r": r"\r"}
# Of subwords, if nothing is said.
_SUBWORDS = 8000


class Vocabulary(tf.Module):
    """Numbered tokens, and how a text is split into them.

    `encode` and `decode` consist of core TensorFlow operations: they work
    eagerly, in `Dataset.map` and in a `tf.function`. To export a function that
    calls them, let the archive track the vocabulary
    (`keras.export.ExportArchive.track`).

    Text is UTF-8; bytes that are not become U+FFFD. Case is converted by the
    Unicode rules. Words are separated by ASCII white space.

    Ids: 0 padding, 1 unknown token, 2 start, 3 end, then `tokens`, then more
    for unknown tokens, if there are to be several.

    Args:
        tokens: the tokens, in the order of their ids, without the special
            ones.
        split: `"characters"` (Unicode code points), `"words"`,
            `"punctuation"` (words, and each punctuation mark or symbol by
            itself), or `"subwords"` (byte pair encoding, see `BytePairs`).
        case: `"keep"`, `"upper"` or `"lower"`: conversion before splitting.
        normalize: how characters that are written in several ways are read,
            see `Normalizer`.
        unknowns: how many ids unknown tokens have: always the same for the
            same token, by a hash, so that a model can tell some apart. All of
            them are decoded as `[UNK]`.

    Raises:
        ValueError: no tokens, an empty or repeated token, an unknown `split`,
            `case` or `normalize`, `unknowns` below 1, or above it for
            subwords.

    Example:

    >>> vocabulary = Vocabulary.build(["a dog", "A cat"], "words", "lower")
    >>> vocabulary.tokens
    ('a', 'cat', 'dog')
    >>> ids = vocabulary.encode(["a dog", "one cat"])
    >>> ids.to_list()
    [[4, 6], [1, 5]]
    >>> vocabulary.decode(ids.to_tensor()).numpy().tolist()
    [b'a dog', b'[UNK] cat']
    """

    start_id = START_ID
    end_id = END_ID

    def __init__(
        self,
        tokens: Sequence[str],
        split: str = "characters",
        case: str = "keep",
        normalize: Sequence[str] = (),
        unknowns: int = 1,
    ) -> None:
        super().__init__()
        self.splitter = Splitter(split, case, normalize)
        repeated = [t for t, count in Counter(tokens).items() if count > 1]
        if not tokens or "" in tokens or repeated:
            raise ValueError(
                "`tokens` must be one or more different, non-empty strings. "
                f"Received: {len(tokens)} tokens, {list(tokens).count('')} of "
                f"them empty, repeated: {repeated[:5]}"
            )
        if unknowns < 1 or (unknowns > 1 and split == "subwords"):
            raise ValueError(
                "`unknowns` must be at least 1, and 1 for subwords. "
                f"Received: unknowns={unknowns}, split={split!r}"
            )
        self.unknowns = unknowns
        self.tokens = tuple(tokens)
        self._decoded = (*_SPECIALS, *tokens, *[_UNKNOWN] * (unknowns - 1))
        self._ids: Any = None
        self._pairs: Any = None
        if split == "subwords":
            self._pairs = BytePairs(tokens)
            return
        ids = len(_SPECIALS) + tf.range(len(tokens))
        self._ids = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant(tokens), ids),
            default_value=UNKNOWN_ID,
        )

    @classmethod
    def build(
        cls,
        texts: Iterable[str | bytes],
        split: str = "characters",
        case: str = "keep",
        max_size: int | None = None,
        min_count: int = 1,
        normalize: Sequence[str] = (),
    ) -> Self:
        """Number the tokens of `texts`, which are read once, as a stream.

        Args:
            texts: the training texts.
            split: see the class.
            case: see the class.
            max_size: as in `tokens_of`.
            min_count: as in `tokens_of`.
            normalize: see the class.

        Raises:
            ValueError: the texts contain no tokens.
        """
        splitter = Splitter(split, case, normalize)
        counts = TokenCounts()
        texts = iter(texts)
        while batch := list(islice(texts, 10_000)):
            counts.add(splitter(batch).flat_values)
        tokens = tokens_of(counts, split, max_size, min_count)
        return cls(tokens, split, case, normalize)

    def __len__(self) -> int:
        return len(self._decoded)

    def tokenize(self, texts: Any) -> tf.RaggedTensor:
        """Split texts (B,) into their tokens, (B, None) strings.

        Characters that no subword has are unknown tokens as they stand there.
        """
        if self._pairs is None:
            return self.splitter(texts)
        words, pieces = self._pieces(texts)
        starts = pieces.starts  # (W, …)
        lengths = tf.strings.length(words.flat_values, unit="UTF8_CHAR")
        ends = tf.concat([starts[:, 1:], lengths[:, tf.newaxis]], axis=1)
        whole = tf.gather(words.flat_values, starts.value_rowids())
        tokens = tf.strings.substr(
            whole,
            starts.flat_values,
            ends.flat_values - starts.flat_values,
            unit="UTF8_CHAR",
        )
        return words.with_values(starts.with_values(tokens)).merge_dims(1, 2)

    def words(self, texts: Any) -> list[list[bytes]]:
        """Split texts (B,) into what errors are counted in.

        Tokens, or of subwords the words: pieces are not what anyone wants to
        be right.
        """
        if self._pairs is None:
            return self.tokenize(texts).to_list()
        return self.splitter(texts).to_list()

    def encode(self, texts: Any) -> tf.RaggedTensor:
        """Turn texts (B,) into ids (B, None), int32, without special tokens."""
        if self._pairs is None:
            tokens = self.tokenize(texts)
            return tf.ragged.map_flat_values(self.number, tokens)
        words, pieces = self._pieces(texts)
        flat = pieces.numbers.flat_values
        ids = tf.where(flat < 0, UNKNOWN_ID, flat + len(_SPECIALS))
        ids = pieces.numbers.with_flat_values(ids)
        return words.with_values(ids).merge_dims(1, 2)

    def is_unknown(self, ids: Any) -> tf.Tensor:
        """Tell which ids are those of unknown tokens."""
        ids = tf.convert_to_tensor(ids)
        last = len(_SPECIALS) + len(self.tokens)
        return (ids == UNKNOWN_ID) | (ids >= last)

    @property
    def more(self) -> dict[str, Callable[[Any], tf.RaggedTensor]]:
        """What texts hold besides tokens, as inputs of a model have it.

        By the name of the input what turns texts (B,) into its ids; of this
        class nothing.
        """
        return {}

    @property
    def has_subwords(self) -> bool:
        """Whether tokens are pieces that only a whole text tells."""
        return self._pairs is not None

    def number(self, tokens: tf.Tensor) -> tf.Tensor:
        """Return the ids of tokens (N,), which are no subwords."""
        ids = self._ids.lookup(tokens)
        if self.unknowns == 1:
            return ids
        buckets = tf.cast(
            tf.strings.to_hash_bucket_fast(tokens, self.unknowns), tf.int32
        )
        # The first bucket is the common id.
        more = len(_SPECIALS) + len(self.tokens) - 1 + buckets
        is_other = (ids == UNKNOWN_ID) & (buckets > 0)
        return tf.where(is_other, more, ids)

    def _pieces(self, texts: Any) -> tuple[tf.RaggedTensor, Pieces]:
        """Return the words (B, …), W in all, and their pieces (W, …)."""
        words = self.splitter(texts)
        # It would be taken for the beginning of a word.
        flat = tf.strings.regex_replace(words.flat_values, SPACE, "_")
        words = words.with_flat_values(SPACE + flat)
        return words, self._pairs(words.flat_values)

    def decode_tokens(self, ids: Any) -> tf.Tensor:
        """Turn ids (..., L) into tokens (..., L).

        Padding, start and all from the first end on are empty strings; the
        unknown token, and ids outside of the vocabulary, are `[UNK]`.
        """
        ids = tf.convert_to_tensor(ids, tf.int32)
        is_token = (ids >= 0) & (ids < len(self))
        ids = tf.where(is_token, ids, UNKNOWN_ID)
        ended = tf.cumsum(tf.cast(ids == END_ID, tf.int32), axis=-1) > 0
        ids = tf.where(ended, PAD_ID, ids)
        return tf.gather(tf.constant(self._decoded), ids)

    def decode(self, ids: Any) -> tf.Tensor:
        """Turn ids (..., L) into texts (...); stop at the first end."""
        return self.splitter.join(self.decode_tokens(ids))

    def save(self, path: str | Path) -> None:
        r"""Write the tokens, one a line, in UTF-8.

        Line breaks and backslashes in tokens are written `\n`, `\r`, `\\`.
        """
        lines = (
            "".join(_ESCAPES.get(letter, letter) for letter in token) + "\n"
            for token in self.tokens
        )
        Path(path).write_text("".join(lines), encoding="utf-8", newline="\n")

    @classmethod
    def load(
        cls,
        path: str | Path,
        split: str = "characters",
        case: str = "keep",
        normalize: Sequence[str] = (),
        unknowns: int = 1,
    ) -> Self:
        """Read what `save` wrote: the tokens alone."""
        return cls(read_tokens(path), split, case, normalize, unknowns)


def read_tokens(path: str | Path) -> list[str]:
    """Read the tokens that `Vocabulary.save` wrote.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no UTF-8.
    """
    lines = Path(path).read_bytes().decode("utf-8").split("\n")[:-1]
    originals = {escape: letter for letter, escape in _ESCAPES.items()}
    return [
        re.sub(r"\\.", lambda m: originals.get(m[0], m[0]), line)
        for line in lines
    ]


def tokens_of(
    counts: TokenCounts,
    split: str,
    max_size: int | None = None,
    min_count: int = 1,
) -> list[str]:
    """Order counted tokens: frequent ones first, then by alphabet.

    Of subwords, learn which they are to be; the order is that of their ranks.

    Args:
        counts: of tokens; of subwords, of words.
        split: see `Vocabulary`.
        max_size: keep the most frequent tokens only, so that there are at most
            so many ids, the four special ones included; of subwords by default
            8,000.
        min_count: keep those only that occur so often; subwords are learned
            from all words.

    Raises:
        RecipeError: there are more characters than subwords.
    """
    if split == "subwords":
        size = (max_size or _SUBWORDS) - len(_SPECIALS)
        return learn_byte_pairs(counts, size)
    order = counts.most_common(min_count)
    return order if max_size is None else order[: max_size - len(_SPECIALS)]
