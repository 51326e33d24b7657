"""Pronunciations from a folder of files, as a dataset.

Tests `wikipron/builder.py`.
"""

import pytest

from keras_recurrent.pipelines.recipe import DataConfig, RecipeError
from keras_recurrent.pipelines.sources import load_pairs, read_texts
from keras_recurrent.pipelines.wikipron.builder import Wikipron, split_of

SPLITS = ("train", "validation", "test")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    for split, lines in (
        ("train", ["나라\tn a ɾ a", "", "말\tm a ɭ"]),
        ("dev", ["비\tp i"]),
        ("test", ["눈\tn u n"]),
    ):
        (folder / f"kor_{split}.tsv").write_text("\n".join([*lines, ""]))
    words = [f"word{number}" for number in range(200)]
    lines = [f"{word}\tp {number}\n" for word in words for number in (1, 2)]
    (folder / "eng_latn_us_broad.tsv").write_text("".join(lines))
    return folder


def load(folder, language, manual=True):
    data = DataConfig(
        dataset=f"wikipron/{language}",
        manual=folder if manual else None,
        directory=folder.parent / "datasets",
    )
    return {
        split: list(
            zip(*read_texts(load_pairs(data, split)).values(), strict=True)
        )
        for split in SPLITS
    }


def test_a_shared_task(folder):
    pairs = load(folder, "kor")
    assert set(pairs["train"]) == {("나라", "n a ɾ a"), ("말", "m a ɭ")}
    assert pairs["validation"] == [("비", "p i")]
    assert pairs["test"] == [("눈", "n u n")]


def test_a_file_without_splits(folder):
    pairs = load(folder, "eng_latn_us_broad")
    words = [{word for word, _ in pairs[split]} for split in SPLITS]
    assert sum(map(len, words)) == len(set.union(*words)) == 200
    assert sum(map(len, pairs.values())) == 400
    assert 140 <= len(words[0]) <= 180
    assert words[1] == {
        w for w in set.union(*words) if split_of(w) == SPLITS[1]
    }


def test_the_card(tmp_path):
    info = Wikipron(config="kor", data_dir=tmp_path).info
    assert "3,600 words for training" in info.description
    assert "CC BY-SA" in info.redistribution_info.license
    assert "Massively Multilingual" in info.citation


def test_what_is_missing_is_named(folder):
    with pytest.raises(RecipeError, match="has neither fra.tsv nor fra_train"):
        load(folder, "fra")
    with pytest.raises(RecipeError, match="as data.manual$"):
        load(folder, "kor", manual=False)
    with pytest.raises(RecipeError, match="BuilderConfig KOR not found"):
        load(folder, "KOR")


def test_a_malformed_line_is_named(folder):
    path = folder / "hun.tsv"
    path.write_text("ház\th aː z\nfa f ɒ\n")
    with pytest.raises(
        RecipeError, match="hun.tsv, line 2: expected a word, a"
    ):
        load(folder, "hun")
