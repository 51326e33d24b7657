"""Normalization in a graph against Python's `unicodedata`."""

import unicodedata
from typing import get_args

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_recurrent.pipelines.recipe import Normalization
from keras_recurrent.pipelines.text.normalizing import (
    NORMALIZATIONS,
    Normalizer,
)
from tests.oracles import tried

TEXTS = st.lists(
    st.one_of(
        st.text(alphabet="aeioAÅé\u0301\u0308\u0304 ñ"),
        st.text(alphabet="한국어\u1112\u1161\u11ab a"),
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
    max_size=5,
)


def run(names, texts, then="__call__"):
    normalizer = Normalizer(names)
    method = tf.function(
        getattr(normalizer, then),
        input_signature=[tf.TensorSpec((None,), tf.string)],
        autograph=False,
    )
    found = method(tf.constant(texts, tf.string))
    return [text.decode() for text in found.numpy()]


def test_all_syllables_there_and_back():
    syllables = [chr(code) for code in range(0xAC00, 0xAC00 + 11_172)]
    texts = [*syllables, "".join(syllables[::97]), "a 한 b국", "", "ㄱ"]
    jamo = run(["jamo"], texts)
    assert jamo == [unicodedata.normalize("NFD", text) for text in texts]
    assert {len(text) for text in jamo[:11_172]} == {2, 3}
    assert run(["jamo"], jamo, "restored") == texts


@tried(few=10, many=100)
@given(TEXTS)
def test_mixed_text_comes_back_but_for_jamo_of_its_own(texts):
    """Which are put together, as in form C."""
    there = run(["jamo"], texts)
    syllables = range(0xAC00, 0xAC00 + 11_172)
    for text, back in zip(texts, run(["jamo"], there, "restored"), strict=True):
        # What else form C would change is not the matter of jamo.
        parts = "".join(
            unicodedata.normalize("NFD", c) if ord(c) in syllables else c
            for c in text
        )
        if unicodedata.normalize("NFC", parts) == text:
            assert back == text
        if not any("\u1100" <= c <= "\u11ff" for c in text):
            assert back == text


@tried(few=10, many=100)
@given(TEXTS)
def test_nfc_of_marks_in_canonical_order(texts):
    texts = [unicodedata.normalize("NFD", text) for text in texts]
    # Some are blocked by what stands between; ours composes neighbours only.
    found = run(["nfc"], texts)
    for text, ours in zip(texts, found, strict=True):
        assert unicodedata.normalize("NFC", ours) == (
            unicodedata.normalize("NFC", text)
        )
        marks = sum(unicodedata.combining(c) > 0 for c in text)
        if marks <= 1:
            assert ours == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("names", "text", "expected"),
    [
        (["nfc"], "Cafe\u0301 u\u0308\u0304", "Café ǖ"),
        (["width"], "ＡＢＣ１２３　ｱ", "ABC123 ア"),
        (["quotes"], "„so“ ‘x’ «y»", '"so" \'x\' "y"'),
        (["spaces"], "a\u00a0b\u2003c\u3000d", "a b c d"),
        (["marks"], "Ünïcödé ǖ ñ e\u0301 한", "Unicode u n e 한"),
        (["jamo", "quotes"], "’한’", "'\u1112\u1161\u11ab'"),
        (["marks", "nfc"], "e\u0301", "e"),
        ([], "„e\u0301“", "„e\u0301“"),
    ],
)
def test_by_hand(names, text, expected):
    assert run(names, [text, "", text]) == [expected, "", expected]


def test_no_texts():
    assert run(["nfc", "jamo", "width"], []) == []
    assert run(["jamo"], [], "restored") == []


def test_recipes_name_them_all():
    assert set(get_args(Normalization)) == set(NORMALIZATIONS)


def test_an_unknown_one():
    with pytest.raises(ValueError, match="Received: nfd"):
        Normalizer(["nfc", "nfd"])
