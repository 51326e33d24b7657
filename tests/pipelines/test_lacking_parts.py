"""`predict` and `evaluate` tell which texts lack a part that is read."""

import pytest

from keras_recurrent.pipelines.factored_vocabulary import cut_off_features
from keras_recurrent.pipelines.lacking_parts import LackingParts
from keras_recurrent.pipelines.parted_vocabulary import cut_in_two
from keras_recurrent.pipelines.recipe import Recipe

SECOND = {"second_source": {"separator": "#"}}
FEATURES = {
    "source": {"split": "words"},
    "features": {"separator": "|", "names": ["part_of_speech", "number"]},
}


def lines(sections, texts):
    recipe = Recipe.model_validate(
        {"data": {"dataset": "cmudict"}, **sections}, strict=False
    )
    lacking = LackingParts(recipe)
    for text in texts:
        lacking.add(text)
    return list(lacking.lines())


@pytest.mark.parametrize(
    "sections, texts",
    [
        ({}, ["laufen", "a|b"]),
        (SECOND, ["laufen#V;PST", ""]),
        (FEATURES, ["houses|NOUN|plural were|VERB|plural", "", " "]),
        (SECOND | FEATURES, ["houses|NOUN|plural#x", "a|b|c # y z"]),
    ],
)
def test_nothing_is_said_of_whole_texts(sections, texts):
    assert lines(sections, texts) == []


def test_a_second_source_is_missing():
    assert lines(SECOND, ["a#b", "laufen", "gehen"]) == [
        "2 of 3 texts have no second source behind '#' (first: 'laufen'): "
        "read as unknown or empty"
    ]


def test_features_are_missing_or_too_many():
    texts = ["a|b|c d|e", "a|b|c|d", "a|b|c"]
    assert lines(FEATURES, texts) == [
        "2 of 3 texts have no part_of_speech, number of every token behind "
        "'|' (first: 'a|b|c d|e'): read as unknown or empty"
    ]


TEXTS = ["a#b", "a", "a#", "a # ", "a##b", "#b", "a|b|c", "a|b|c d|e|f"]
TEXTS += ["a|b", "|b|c", "a||", "a|b|c|d", "a|b|c d"]


@pytest.mark.parametrize("text", TEXTS)
def test_it_is_what_the_vocabularies_miss(text):
    assert bool(lines(SECOND, [text])) == (cut_in_two([text], "#")[1][0] == b"")
    *_, are_whole = cut_off_features([text], "|", 2)
    assert bool(lines(FEATURES, [text])) == (not all(are_whole))


def test_both_are_missing():
    assert len(lines(SECOND | FEATURES, ["a"])) == 2
