import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_recurrent.pipelines.measures import error_rates


def edit_distance(a, b):
    """The table of Wagner and Fischer, cell by cell."""
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    table[:, 0] = range(len(a) + 1)
    table[0, :] = range(len(b) + 1)
    for i in range(len(a)):
        for j in range(len(b)):
            table[i + 1, j + 1] = min(
                table[i, j] + (a[i] != b[j]),
                table[i, j + 1] + 1,
                table[i + 1, j] + 1,
            )
    return table[-1, -1]


def test_counts_by_hand():
    rates = error_rates(
        ["K AE T".split(), "D AO".split(), "".split()],
        [
            ["K AE T".split()],  # right
            ["D AO G Z".split(), "D AA G".split()],  # 2 edits each: 4 tokens
            ["AH".split(), "EY B".split()],  # 1 edit, 1 token
        ],
    )
    assert rates == (3, 8, 2, 3)
    assert rates.token_error_rate == 3 / 8
    assert rates.sequence_error_rate == 2 / 3


def test_tokens_are_compared_whole():
    assert error_rates([["AB"]], [[["A", "B"]]]).edits == 2


def test_any_right_reference_is_right():
    rates = error_rates([["a"]], [[["b", "c"], ["a"]]])
    assert rates == (0, 1, 0, 1)


@pytest.mark.parametrize("reverse", [False, True])
def test_of_equally_close_references_the_longest_counts(reverse):
    references = [["a"], ["a", "b", "c"]]
    rates = error_rates([["a", "b"]], [references[:: -1 if reverse else 1]])
    assert (rates.edits, rates.tokens) == (1, 3)


tokens = st.lists(st.sampled_from("abc"), max_size=6)


@given(st.lists(st.tuples(tokens, st.lists(tokens, min_size=1)), min_size=1))
def test_against_brute_force(pairs):
    hypotheses = [hypothesis for hypothesis, _ in pairs]
    references = [[["a"], *choices] for _, choices in pairs]
    edits = total = wrong = 0
    for hypothesis, choices in zip(hypotheses, references, strict=True):
        distances = [edit_distance(hypothesis, choice) for choice in choices]
        closest = min(distances)
        edits += closest
        total += max(
            len(choice)
            for choice, distance in zip(choices, distances, strict=True)
            if distance == closest
        )
        wrong += hypothesis not in choices
    if total:
        rates = error_rates(hypotheses, references)
        assert rates == (edits, total, wrong, len(pairs))


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        ([], [], "0 sequences with 0 tokens"),
        ([["a"]], [[[]]], "1 sequences with 0 tokens"),
        ([["a"]], [[]], r"Received: none for \['a'\]"),
        ([["a"], ["b"]], [[["a"]]], "shorter"),
    ],
)
def test_wrong_arguments(hypotheses, references, message):
    with pytest.raises(ValueError, match=message):
        error_rates(hypotheses, references)
