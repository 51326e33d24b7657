"""Splitting and joining against Python."""

import unicodedata

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_recurrent.pipelines.text import splitting
from tests.oracles import tried

SPACES = " \t\n\v\f\r"


def words_of(text):
    """Split at ASCII white space alone."""
    for space in SPACES:
        text = text.replace(space, " ")
    return [word for word in text.split(" ") if word]


TEXTS = st.lists(
    st.one_of(st.text(), st.text(alphabet="ab ,.-…€'\t\uffed")), max_size=5
)


@tried(few=10, many=100)
@given(TEXTS)
def test_characters(texts):
    split = splitting.split_characters(tf.constant(texts, tf.string))
    assert split.to_list() == [[c.encode() for c in text] for text in texts]
    joined = splitting.join_characters(split.to_tensor())
    assert [text.decode() for text in joined.numpy()] == texts


@tried(few=10, many=100)
@given(TEXTS)
def test_words(texts):
    split = splitting.split_words(tf.constant(texts, tf.string))
    assert split.to_list() == [
        [word.encode() for word in words_of(text)] for text in texts
    ]
    joined = splitting.join_words(split.to_tensor())
    assert [text.decode() for text in joined.numpy()] == [
        " ".join(words_of(text)) for text in texts
    ]


@tried(few=10, many=100)
@given(TEXTS)
def test_punctuation_comes_back(texts):
    """But for white space, and for the character that joins."""
    split = splitting.split_punctuation(tf.constant(texts, tf.string))
    joined = splitting.join_punctuation(split.to_tensor())
    assert [text.decode() for text in joined.numpy()] == [
        " ".join(words_of(text.replace("\uffed", "\u25a0"))) for text in texts
    ]
    for row in split.to_list():
        for token in row:
            bare = token.decode().strip("\uffed")
            marks = [c for c in bare if unicodedata.category(c)[0] in "PS"]
            assert not marks or len(bare) == 1


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Zwei Männer, die", "Zwei Männer ￭, die"),
        ("(well-known)", "(￭ well ￭-￭ known ￭)"),
        ("Oh ... no!?", "Oh . ￭. ￭. no ￭! ￭?"),
        ("a , b", "a , b"),
        ("5 € is 5€", "5 € is 5 ￭€"),
        ("", ""),
        ("naïve café", "naïve café"),
    ],
)
def test_punctuation_by_hand(text, tokens):
    (split,) = splitting.split_punctuation([text]).to_list()
    assert b" ".join(split).decode() == tokens


def test_what_is_no_utf8():
    found = splitting.cleaned([b"a\xffB"], "lower").numpy()
    assert found[0].decode() == "a\ufffdb"
