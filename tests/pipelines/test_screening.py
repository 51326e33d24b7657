"""What is said of doubtful pairs, and what is left of them.

Tests `splits.py`.
"""

import pytest

from keras_recurrent.pipelines.build_vocabularies import build_vocabularies
from keras_recurrent.pipelines.recipe import RecipeError, load_recipe
from keras_recurrent.pipelines.sources import read_texts
from keras_recurrent.pipelines.splits import load_splits, within_limits

RECIPE = """
data:
  files: {train: train.tsv, validation: valid.tsv, test: test.tsv}
  more: [{files: more.tsv}]
  weight: 2
"""
LINES = {
    "train": ["a\t1", "b\t2", "a\t1", "a\t3", "", "test\t5"],
    "more": ["b\t2", "long\t77777777", "valid\t6", "a\t1"],
    "valid": ["valid\t0"],
    "test": ["test\t0"],
}


@pytest.fixture
def load(tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    for name, lines in LINES.items():
        (tmp_path / f"{name}.tsv").write_text("\n".join(lines))

    def load(*overrides):
        recipe = load_recipe(tmp_path / "recipe.yaml", overrides)
        return recipe, load_splits(recipe)

    return load


def pairs(splits):
    texts = read_texts(splits.pairs["train"])
    return sorted(map("".join, zip(*texts.values(), strict=True)))


def test_doubtful_pairs_are_told_of(load, capsys, tmp_path):
    _, splits = load()
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "3 of 9 training pairs have occurred before (first: "
        f"{tmp_path / 'train.tsv'}, line 3): kept; data.duplicates=skip leaves "
        "them out",
        "1 of 9 training pairs have a source that is in validation too (first: "
        f"{tmp_path / 'more.tsv'}, line 3): kept; data.overlap=skip leaves "
        "them out",
        "1 of 9 training pairs have a source that is in test too (first: "
        f"{tmp_path / 'train.tsv'}, line 6): kept; data.overlap=skip leaves "
        "them out",
    ]
    assert len(pairs(splits)) == 2 * 5 + 4
    assert splits.left_out == 0


def test_doubtful_pairs_are_left_out(load, capsys):
    _, splits = load("data.duplicates=skip", "data.overlap=skip")
    said = capsys.readouterr().err.splitlines()
    assert [line.partition("): ")[2] for line in said] == [
        "left out (data.duplicates=skip)",
        "left out (data.overlap=skip)",
        "left out (data.overlap=skip)",
    ]
    assert pairs(splits) == ["a1", "a1", "a3", "a3", "b2", "b2", "long77777777"]
    assert splits.pairs["train"].cardinality() == 7
    assert splits.left_out == 5


@pytest.mark.parametrize("key", ["duplicates", "overlap"])
def test_doubtful_pairs_are_errors(load, key):
    with pytest.raises(RecipeError, match=f"data.{key}=skip leaves them out"):
        load(f"data.{key}=stop")


def test_long_pairs_are_left_out(load, capsys, tmp_path):
    recipe, splits = load("training.max_length=7", "data.overlap=skip")
    vocabularies = build_vocabularies(recipe, splits.pairs["train"])
    capsys.readouterr()
    splits, lengths = within_limits(recipe, vocabularies, splits)
    said = capsys.readouterr().err
    assert said.startswith(
        "1 of 11 training pairs have more than training.max_length=7 tokens on "
        f"a side (first: {tmp_path / 'more.tsv'}, line 2): left out"
    )
    assert "long77777777" not in pairs(splits)
    assert len(pairs(splits)) == len(lengths["train"]) == 10
    assert splits.left_out == 3


def test_of_the_first_examples_no_others_take_their_place(load, tmp_path):
    (tmp_path / "train.tsv").write_text("a\t1\nlong\t9\nb\t2\nc\t3\n")
    recipe, splits = load(
        "data.more=[]",
        "data.weight=1",
        "training.max_examples=3",
        "training.max_length=3",
    )
    vocabularies = build_vocabularies(recipe, splits.pairs["train"])
    splits, lengths = within_limits(recipe, vocabularies, splits)
    assert pairs(splits) == ["a1", "b2"]
    assert lengths["train"].tolist() == [[1, 1], [1, 1]]


def test_all_are_too_long(load, tmp_path):
    (tmp_path / "train.tsv").write_text("long\t9\n")
    recipe, splits = load(
        "data.more=[]", "data.weight=1", "training.max_length=3"
    )
    vocabularies = build_vocabularies(recipe, splits.pairs["train"])
    with pytest.raises(RecipeError, match="1 of 1 .*line 1.: nothing is left"):
        within_limits(recipe, vocabularies, splits)


def test_a_test_set_that_is_not_there(load, capsys, tmp_path):
    (tmp_path / "test.tsv").unlink()
    load()
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("test: not compared with the training pairs: ")
    assert "No such file" in said[0]


def test_weights_are_for_several_sources(tmp_path, load):
    with pytest.raises(
        RecipeError, match="`weight` says how often pairs occur"
    ):
        load("data.more=[]")


def test_malformed_lines_of_validation_are_told_of_once(load, capsys, tmp_path):
    (tmp_path / "valid.tsv").write_text("valid\t0\nwrong\n")
    load("data.malformed=skip")
    assert capsys.readouterr().err.count("1 of 2 lines are skipped") == 1
    with pytest.raises(RecipeError, match="valid.tsv, line 2"):
        load()
    said = capsys.readouterr().err
    assert "not compared" not in said
