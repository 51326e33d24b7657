"""What is said of long examples: the numbers are counted by hand."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.pipelines.batching import training_batches
from keras_recurrent.pipelines.build_vocabularies import build_vocabularies
from keras_recurrent.pipelines.lengths import example_lengths, steps
from keras_recurrent.pipelines.recipe import load_recipe
from keras_recurrent.pipelines.splits import load_splits, within_limits
from keras_recurrent.pipelines.vocabulary import Vocabulary

RECIPE = """
data: {files: {train: train.tsv, validation: valid.tsv, test: valid.tsv}}
target: {split: words}
training: {batch_size: 4}
decoding: {max_length: 5}
"""


@pytest.fixture
def warnings(tmp_path, capsys):
    """What is said of these lines for training, when batches are loaded."""

    def warnings(lines, *overrides):
        (tmp_path / "recipe.yaml").write_text(RECIPE)
        (tmp_path / "train.tsv").write_text("\n".join(lines))
        (tmp_path / "valid.tsv").write_text("ab\tA B A B A B\na\tA B A B\n")
        recipe = load_recipe(tmp_path / "recipe.yaml", overrides)
        splits = load_splits(recipe)
        vocabularies = build_vocabularies(recipe, splits.pairs["train"])
        capsys.readouterr()  # what is said of duplicates
        within_limits(recipe, vocabularies, splits)
        output = capsys.readouterr()
        assert output.out == ""
        return output.err.splitlines()

    return warnings


def test_targets_that_decoding_would_cut(warnings):
    lines = ["a\tA", "b\tA B A B", "b\tA B A B A", "a\tA B A B A B A"]
    (line,) = warnings(lines)
    assert line.startswith(
        "Warning: 2 of 4 train targets and 1 of 2 validation targets are "
        "longer than decoding.max_length=5 tokens, "
    )
    assert line.endswith("longest has 8: set decoding.max_length=8")
    # Only what is trained on counts, and only what is too long is named.
    (line,) = warnings(lines, "training.max_examples=2")
    assert line.startswith("Warning: 1 of 2 validation targets are longer")
    assert warnings(lines, "decoding.max_length=8") == []


def test_an_example_much_longer_than_the_others(warnings, tmp_path):
    lines = ["ab\tA B"] * 97 + ["", "a" * 20 + "\tA", "a" * 300 + "\tA"]
    (line,) = warnings(lines, "decoding.max_length=9")
    # 25 batches of 2 + 2 steps, one of them of 300 + 2.
    assert line.startswith(
        f"Warning: {tmp_path / 'train.tsv'}, line 100: the source has 300 "
        "tokens, where 95% have at most 2. Batches as long as this (and 1 more "
        "like it) make a pass over the train data take 4.0 times as many time "
        "steps: "
    )


def test_long_targets_are_outliers_too(warnings):
    lines = ["ab\tA B"] * 50 + ["ab\t" + "A " * 400]
    (line,) = warnings(lines, "decoding.max_length=500")
    assert "line 51: the target has 400 tokens, where 95% have" in line


@pytest.mark.parametrize(
    "lines",
    [
        # Lengths from 1 to 20, as natural as can be.
        [f"{'ab' * (1 + n % 10)}\tA" for n in range(100)],
        # Far off, but no burden.
        ["ab\tA B"] * 300 + ["a" * 15 + "\tA"],
        # A burden, but not far off: 7 where 2 are usual, in 2 batches.
        ["ab\tA B"] * 7 + ["a" * 7 + "\tA"],
    ],
)
def test_nothing_is_said_of_ordinary_lengths(warnings, lines):
    assert warnings(lines, "decoding.max_length=9") == []


def test_the_steps_are_those_of_the_batches():
    draw = np.random.default_rng(0)
    numbers = draw.integers(1, 30, (203, 2))
    pairs = tf.data.Dataset.from_tensor_slices(
        {
            side: ["a" * n for n in column]
            for side, column in zip(
                ("source", "target"), numbers.T, strict=True
            )
        }
    )
    vocabularies = (Vocabulary(["a"]), Vocabulary(["a"]))
    lengths = example_lengths(pairs, vocabularies)
    np.testing.assert_array_equal(lengths, numbers)
    batches = list(training_batches(pairs, *vocabularies, 16))
    assert steps(lengths, 16) == sum(
        inputs["source"].shape[1] + inputs["target"].shape[1] - 1
        for inputs, _ in batches
    )
