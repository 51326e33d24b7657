"""Several sources as one, and some pairs left out.

Tests `mixture.py` and `selected.py`.
"""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_recurrent.pipelines.recipe import DataConfig, RecipeError
from keras_recurrent.pipelines.sources import (
    Mixture,
    Selected,
    fingerprint,
    load_pairs,
    read_texts,
    source_of,
)
from keras_recurrent.pipelines.sources.mixture import taken
from tests.oracles import tried


class Numbers:
    """A source of so many pairs, with a letter and a number each."""

    left_out = 1

    def __init__(self, letter, count):
        self.texts = [f"{letter}{number}" for number in range(count)]

    def pairs(self):
        return tf.data.Dataset.from_tensor_slices(
            {"source": self.texts, "target": self.texts}
        )

    def place(self, index):
        return f"at {self.texts[index]}"


def sources(source):
    return read_texts(source.pairs())["source"]


def test_an_epoch_has_each_pair_as_often_as_its_weight_says():
    mixture = Mixture([(Numbers("a", 50), 3), (Numbers("b", 150), 1)])
    found = sources(mixture)
    assert mixture.pairs().cardinality() == 300
    counts = Counter(found)
    assert len(counts) == 200
    assert all(n == (3 if text[0] == "a" else 1) for text, n in counts.items())
    # The same order each time, and spread evenly.
    assert sources(mixture) == found
    assert sum(text[0] == "a" for text in found[:150]) == 75
    # Whatever is drawn elsewhere.
    tf.random.set_seed(5)
    assert sources(mixture) == found
    assert mixture.left_out == 2


@tried(20, 300)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=5))
def test_parts_are_spread_evenly(sizes):
    total = sum(sizes)
    parts, numbers = (found.numpy() for found in taken(sizes, tf.range(total)))
    for part, size in enumerate(sizes):
        # Each element once, in its order.
        np.testing.assert_array_equal(numbers[parts == part], range(size))
        # In each piece of the whole about the share that the part has in it:
        # what is rounded is what is left for this part, and for those above.
        for end in range(total + 1):
            share = end * size / max(total, 1)
            allowed = len(sizes) - max(part - 1, 0)
            assert abs(np.sum(parts[:end] == part) - share) <= allowed


def test_a_place_is_that_of_the_part():
    mixture = Mixture([(Numbers("a", 4), 2), (Numbers("b", 5), 1)])
    for index, text in enumerate(sources(mixture)):
        assert mixture.place(index) == f"at {text}"


@tried(10, 100)
@given(st.sets(st.integers(0, 19)))
def test_what_is_left(skipped):
    left = Selected(Numbers("a", 20), np.array(sorted(skipped), np.int64))
    expected = [f"a{n}" for n in range(20) if n not in skipped]
    assert sources(left) == expected
    assert left.pairs().cardinality() == len(expected)
    assert left.left_out == 1 + len(skipped)
    for index, text in enumerate(expected):
        assert left.place(index) == f"at {text}"


def test_a_mixture_in_a_recipe(tmp_path):
    for name, count in (("news", 3), ("talks", 5)):
        lines = [f"{name}{n}\t{n}\n" for n in range(count)]
        (tmp_path / f"{name}.tsv").write_text("".join(lines))
    (tmp_path / "more.jsonl").write_text('{"a": "json", "b": "9"}\n')
    one = tmp_path / "news.tsv"
    settings = {
        "files": {"train": one, "validation": one, "test": one},
        "weight": 2,
        "more": [
            {"files": tmp_path / "talks.tsv"},
            {
                "files": tmp_path / "more.jsonl",
                "source": "a",
                "target": "b",
                "weight": 4,
            },
            {"dataset": "dates/en-20", "directory": tmp_path, "split": "test"},
        ],
    }
    data = DataConfig.model_validate(settings)
    counts = Counter(read_texts(load_pairs(data, "train"))["source"])
    assert counts["news0"] == 2 and counts["talks4"] == 1
    assert counts["json"] == 4
    assert counts.total() == 2 * 3 + 5 + 4 + 2
    # Validation is that of the first alone.
    assert load_pairs(data, "validation").cardinality() == 3
    assert fingerprint(data, "train").startswith("2 x (")
    settings["more"][0]["files"] = tmp_path / "none.tsv"
    with pytest.raises(RecipeError, match=r"data.more\[0\].files=.*none.tsv"):
        source_of(DataConfig.model_validate(settings), "train").pairs()
