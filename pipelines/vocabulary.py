"""Text to token ids and back, inside TensorFlow graphs."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import tensorflow as tf

from keras_recurrent.pipelines.recipe import VocabularyConfig
from keras_recurrent.pipelines.run import Run, RunError

# The special ids come first, in this order. None of them is the id of a token
# of any text, whatever the text says.
PAD_ID, UNKNOWN_ID, START_ID, END_ID = range(4)
_SPECIALS = ("", "[UNK]", "", "")  # as decoded
_ESCAPES = {"\\": r"\\", "\n": r"\n", "\r": r"\r"}


class Vocabulary(tf.Module):
    """Numbered tokens, and how a text is split into them.

    `encode` and `decode` consist of core TensorFlow operations: they work
    eagerly, in `Dataset.map` and in a `tf.function`. To export a function that
    calls them, let the archive track the vocabulary
    (`keras.export.ExportArchive.track`).

    Text is UTF-8; bytes that are not become U+FFFD. Case is converted by the
    Unicode rules. Words are separated by ASCII white space.

    Ids: 0 padding, 1 unknown token, 2 start, 3 end, then `tokens`.

    Args:
        tokens: the tokens, in the order of their ids, without the special
            ones.
        split: `"characters"` (Unicode code points) or `"words"`.
        case: `"keep"`, `"upper"` or `"lower"`: conversion before splitting.

    Raises:
        ValueError: no tokens, an empty or repeated token, an unknown `split`
            or `case`.

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
    ) -> None:
        super().__init__()
        _check_choice("split", split, ("characters", "words"))
        _check_choice("case", case, ("keep", "upper", "lower"))
        repeated = [t for t, count in Counter(tokens).items() if count > 1]
        if not tokens or "" in tokens or repeated:
            raise ValueError(
                "`tokens` must be one or more different, non-empty strings. "
                f"Received: {len(tokens)} tokens, {list(tokens).count('')} of "
                f"them empty, repeated: {repeated[:5]}"
            )
        self.tokens = tuple(tokens)
        self.split = split
        self.case = case
        ids = tf.range(len(_SPECIALS), len(self), dtype=tf.int32)
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
    ) -> Self:
        """Number the tokens of `texts`: frequent ones first, then by alphabet.

        Args:
            texts: the training texts.
            split: see the class.
            case: see the class.
            max_size: keep the most frequent tokens only, so that there are at
                most so many ids, the four special ones included.

        Raises:
            ValueError: the texts contain no tokens.
        """
        counts: Counter[bytes] = Counter()
        texts = list(texts)
        for start in range(0, len(texts), 10_000):
            tokens = tokenize(texts[start : start + 10_000], split, case)
            counts.update(tokens.flat_values.numpy().tolist())
        # Bytes of UTF-8 sort like the code points they encode.
        order = sorted(counts, key=lambda token: (-counts[token], token))
        if max_size is not None:
            order = order[: max_size - len(_SPECIALS)]
        return cls([token.decode() for token in order], split, case)

    def __len__(self) -> int:
        return len(_SPECIALS) + len(self.tokens)

    def tokenize(self, texts: Any) -> tf.RaggedTensor:
        """Split texts (B,) into their tokens, (B, None) strings."""
        return tokenize(texts, self.split, self.case)

    def encode(self, texts: Any) -> tf.RaggedTensor:
        """Turn texts (B,) into ids (B, None), int32, without special tokens."""
        return tf.ragged.map_flat_values(self._ids.lookup, self.tokenize(texts))

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
        return tf.gather(tf.constant(_SPECIALS + self.tokens), ids)

    def decode(self, ids: Any) -> tf.Tensor:
        """Turn ids (..., L) into texts (...); stop at the first end."""
        tokens = self.decode_tokens(ids)
        if self.split == "characters":
            return tf.strings.reduce_join(tokens, axis=-1)
        separated = tf.where(tokens == "", "", " " + tokens)
        joined = tf.strings.reduce_join(separated, axis=-1)
        return tf.strings.strip(joined)

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
        cls, path: str | Path, split: str = "characters", case: str = "keep"
    ) -> Self:
        """Read what `save` wrote; `split` and `case` are not in the file."""
        lines = Path(path).read_bytes().decode("utf-8").split("\n")[:-1]
        originals = {escape: letter for letter, escape in _ESCAPES.items()}
        tokens = [
            re.sub(r"\\.", lambda m: originals.get(m[0], m[0]), line)
            for line in lines
        ]
        return cls(tokens, split, case)


def load_vocabularies(run: Run) -> tuple[Vocabulary, Vocabulary]:
    """Read the vocabularies, of sources and of targets, that a run keeps.

    Raises:
        RunError: one of them is missing or damaged.
    """

    def load(path: Path, config: VocabularyConfig) -> Vocabulary:
        try:
            return Vocabulary.load(path, config.split, config.case)
        except OSError as error:
            raise RunError(f"{path}: {error.strerror}") from None
        except ValueError as error:
            raise RunError(f"{path}: damaged: {error}") from None

    return (
        load(run.source_vocabulary, run.recipe.source),
        load(run.target_vocabulary, run.recipe.target),
    )


def tokenize(texts: Any, split: str, case: str) -> tf.RaggedTensor:
    """Split texts (B,) into tokens (B, None); see `Vocabulary`."""
    # Also for words: what is not UTF-8 could not be written to a file.
    texts = tf.convert_to_tensor(texts, tf.string)
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")
    if case == "upper":
        texts = tf.strings.upper(texts, encoding="utf-8")
    elif case == "lower":
        texts = tf.strings.lower(texts, encoding="utf-8")
    if split == "words":
        return tf.strings.split(texts)
    return tf.strings.unicode_split(texts, "UTF-8")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(
            f"`{name}` must be one of {', '.join(choices)}. Received: {value!r}"
        )
