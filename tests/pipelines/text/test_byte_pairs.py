"""Subwords in a graph against sentencepiece.

Tests `learn_byte_pairs.py`.
"""

import io
import re
from itertools import pairwise

import pytest
import sentencepiece
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.text import learn_byte_pairs as learning
from keras_recurrent.pipelines.text.byte_pairs import SPACE, BytePairs
from keras_recurrent.pipelines.text.counting import TokenCounts
from keras_recurrent.pipelines.text.learn_byte_pairs import learn_byte_pairs
from tests.oracles import tried

# Words with parts in common, of characters of one to four bytes.
STEMS = ("sing", "spring", "übergäng", "한국", "😀na", "aaa")
ENDINGS = ("", "s", "e", "er", "ing", "en", "en-", "aaaa")
WORDS = [
    word
    for n, stem in enumerate(STEMS)
    for ending in ENDINGS
    for word in [stem + ending] * (1 + n)
]


@pytest.fixture(scope="module")
def theirs():
    """A model that sentencepiece has learned from sentences."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(" ".join(pair) for pair in pairwise(WORDS)),
        model_writer=model,
        model_type="bpe",
        vocab_size=70,
        bos_id=-1,
        eos_id=-1,
        character_coverage=1.0,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


@pytest.fixture(scope="module")
def pieces(theirs):
    return [theirs.id_to_piece(i) for i in range(1, len(theirs))]


@pytest.fixture(scope="module")
def cut(pieces):
    return tf.function(
        BytePairs(pieces),
        input_signature=[tf.TensorSpec((None,), tf.string)],
        autograph=False,
    )


def counted(words):
    counts = TokenCounts()
    counts.add(tf.constant(words, tf.string))
    return counts


def test_it_has_long_pieces(pieces):
    assert any(len(piece) > 4 for piece in pieces)


SOME_WORDS = st.lists(
    st.one_of(
        st.lists(st.sampled_from([*STEMS, *ENDINGS]), min_size=1).map("".join),
        st.text(alphabet="singaüpr한", max_size=30),
        st.text(max_size=12),
    )
    # What they take for a space, and what is none of a word's.
    .map(lambda word: re.sub(f"[\\s{SPACE}\0]", "", word))
    .filter(bool),
    min_size=1,
    max_size=30,
)


@tried(few=20, many=200)
@given(SOME_WORDS)
def test_the_pieces_are_those_of_sentencepiece(theirs, cut, words):
    found = cut(tf.constant([SPACE + word for word in words]))
    # Theirs has the unknown one as 0.
    assert [[n + 1 for n in row] for row in found.numbers.to_list()] == (
        theirs.encode(words)
    )
    for word, numbers, starts in zip(
        words, found.numbers.to_list(), found.starts.to_list(), strict=True
    ):
        text = SPACE + word
        ends = [*starts[1:], len(text)]
        for number, start, end in zip(numbers, starts, ends, strict=True):
            if number >= 0:
                piece = theirs.id_to_piece(number + 1)
                assert text[start:end] == piece


def test_no_words(cut):
    found = cut(tf.constant([], tf.string))
    assert found.numbers.to_list() == found.starts.to_list() == []


def test_learning_from_counted_words_is_learning_from_sentences(theirs, pieces):
    words = [word for pair in pairwise(WORDS) for word in pair]
    assert learn_byte_pairs(counted(words), 69) == pieces


def test_of_too_many_words_the_frequent_ones(monkeypatch, capsys):
    monkeypatch.setattr(learning, "_MOST_WORDS", 2)
    found = learn_byte_pairs(counted(["abab"] * 3 + ["cd"] * 2 + ["xy"]), 20)
    assert {"abab", "cd"} <= {piece.strip(SPACE) for piece in found}
    assert not set("xy") & set(found)
    assert (
        "learned from the 2 most frequent of 3 different words, 83.3% of all"
        in capsys.readouterr().err
    )


def test_more_characters_than_pieces():
    with pytest.raises(RecipeError, match="has 26 different characters, so"):
        learn_byte_pairs(counted(["abcdefghijklmnopqrstuvwxyz"]), 20)
