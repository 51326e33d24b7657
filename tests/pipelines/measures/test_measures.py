"""Measures against their definitions, and against sacrebleu.

Tests `measure.py`, `rates.py` and `scores.py`.
"""

from typing import get_args

import numpy as np
import pytest
import sacrebleu

from keras_recurrent.pipelines.measures import (
    Outputs,
    error_rates,
    get_measures,
)
from keras_recurrent.pipelines.measures.rates import resampled
from keras_recurrent.pipelines.recipe import EvaluationConfig, MeasureName

ALL = get_args(MeasureName)
SENTENCES = (
    "two young men ride their bicycles in the park .",
    "a dog runs .",
    "the woman with the red hat reads a book on a bench",
    "nobody is here today , it seems",
)


def words(texts):
    return [text.split() for text in texts]


def outputs(seed, share, count=60):
    """Sentences in which words were replaced, and one or two references."""
    draw = np.random.default_rng(seed)
    predictions, references = [], []
    for number in range(count):
        sentence = SENTENCES[number % len(SENTENCES)]
        predictions.append(
            " ".join(
                "oops" if draw.random() < share else word
                for word in sentence.split()
            )
        )
        other = [sentence.replace("a ", "one ")] if number % 3 == 0 else []
        references.append([sentence, *other])
    return Outputs(predictions, references, words)


def measures(**settings):
    return get_measures(EvaluationConfig(measures=ALL, **settings))


def test_rates_are_those_of_their_definitions():
    given = outputs(0, 0.2)
    found = {k: m.measure(given, 0) for k, m in measures().items()}
    expected = error_rates(
        words(given.predictions), map(words, given.references)
    )
    assert found["token_error_rate"].value == expected.token_error_rate
    assert found["sequence_error_rate"].value == expected.sequence_error_rate
    right = [
        prediction in choices
        for prediction, choices in zip(
            given.predictions, given.references, strict=True
        )
    ]
    assert found["exact_match"].value == np.mean(right)
    letters = error_rates(
        map(list, given.predictions),
        [list(map(list, choices)) for choices in given.references],
    )
    assert found["character_error_rate"].value == letters.token_error_rate
    assert all(one.interval is None for one in found.values())


@pytest.mark.parametrize("tokenize", ["13a", "none", "char"])
def test_scores_are_those_of_sacrebleu(tokenize):
    given = outputs(0, 0.2)
    found = {
        k: m.measure(given, 0) for k, m in measures(tokenize=tokenize).items()
    }
    # Theirs wants as many references of each.
    streams = [
        [choices[0] for choices in given.references],
        [choices[-1] for choices in given.references],
    ]
    for name, score in (
        (
            "bleu",
            sacrebleu.corpus_bleu(
                given.predictions, streams, tokenize=tokenize
            ),
        ),
        ("chrf", sacrebleu.corpus_chrf(given.predictions, streams)),
        ("ter", sacrebleu.corpus_ter(given.predictions, streams)),
    ):
        assert found[name].value == pytest.approx(score.score)
    assert f"tok:{tokenize}|" in found["bleu"].signature
    assert found["bleu"].text() == f"{found['bleu'].value:.2f}"


def test_the_interval_is_where_the_values_of_samples_lie():
    """Of many independent sets of sentences, here and there of 100."""
    given = outputs(0, 0.2, 100)
    for name, measure in measures().items():
        found = measure.measure(given, 300)
        low, high = found.interval
        assert low < found.value < high
        assert "|bs:300|" in found.signature
        others = [
            measure.measure(outputs(seed, 0.2, 100), 0).value
            for seed in range(1, 31)
        ]
        inside = np.mean([low <= value <= high for value in others])
        assert inside > 0.6, name


def test_samples_are_sums_of_as_many_sentences():
    counts = np.array([[1, 10], [0, 10], [5, 10]])
    sums = resampled(counts, 120)
    assert sums.shape == (120, 2)
    assert (sums[:, 1] == 30).all()
    assert abs(sums[:, 0].mean() - 6) < 0.7
    assert set(sums[:, 0]) <= {0, 1, 2, 3, 5, 6, 7, 10, 11, 15}
    np.testing.assert_array_equal(sums, resampled(counts, 120))


@pytest.mark.parametrize("name", ALL)
def test_a_difference_by_chance_and_one_that_is_none(name):
    measure = measures()[name]
    good, same, bad = outputs(0, 0.2), outputs(1, 0.2), outputs(2, 0.7)
    assert measure.compare(good, same, 200) > 0.05
    assert measure.compare(good, good, 200) > 0.9
    assert measure.compare(good, bad, 200) < 0.02
