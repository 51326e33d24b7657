"""Files turned into a dataset, with Apache Beam and without."""

import sys

import pytest

from keras_recurrent.pipelines.prepare import prepare
from keras_recurrent.pipelines.recipe import (
    DataConfig,
    RecipeError,
    load_recipe,
)
from keras_recurrent.pipelines.sources import load_pairs, read_texts

# Two accents in an order that is not canonical, which graphs leave as they are.
ACCENTS = "a\u0301\u0323"
COMPOSED = "\u1ea1\u0301"
RECIPE = """
data:
  files:
    train: {source: "*.en", target: "*.de"}
    validation: valid.tsv
    test: valid.tsv
  tests: {other: other.tsv}
  malformed: skip
source: {normalize: [nfc]}
"""


@pytest.fixture
def recipe(tmp_path):
    for shard in range(3):
        for side in ("en", "de"):
            lines = [f"{side} {shard} {line}\n" for line in range(5)]
            (tmp_path / f"{shard}.{side}").write_text("".join(lines))
    pair = f"{ACCENTS}\t{ACCENTS}\n"
    (tmp_path / "valid.tsv").write_text(pair)
    (tmp_path / "other.tsv").write_text(f"wrong\n{pair}")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return load_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize("beam", [None, "--runner=DirectRunner"])
@pytest.mark.filterwarnings("ignore")  # of Apache Beam, about others
def test_the_dataset_has_the_pairs(recipe, tmp_path, beam):
    folder = prepare(recipe, tmp_path / "prepared", beam)
    data = DataConfig(folder=folder)
    for split in ("train", "validation"):
        one, other = (
            sorted(zip(*read_texts(load_pairs(d, split)).values(), strict=True))
            for d in (recipe.data, data)
        )
        if split == "train":
            assert len(one) == 15 and one == other
        else:
            assert other == [(COMPOSED, ACCENTS)]
    other = data.model_copy(
        update={"splits": data.splits.model_copy(update={"test": "other"})}
    )
    assert read_texts(load_pairs(other, "test"))["source"] == [COMPOSED]


def test_a_dataset_is_not_overwritten(recipe, tmp_path):
    prepare(recipe, tmp_path / "prepared")
    with pytest.raises(RecipeError, match="exists already"):
        prepare(recipe, tmp_path / "prepared")


def test_what_cannot_be_prepared(recipe, tmp_path, monkeypatch):
    dataset = recipe.model_copy(update={"data": DataConfig(dataset="cmudict")})
    with pytest.raises(RecipeError, match="datasets are prepared already"):
        prepare(dataset, tmp_path / "prepared")
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    monkeypatch.setitem(
        sys.modules, "apache_beam.options.pipeline_options", None
    )
    with pytest.raises(RecipeError, match="pip install 'keras-recurrent.beam"):
        prepare(recipe, tmp_path / "prepared", "")
    (tmp_path / "2.de").write_text("one line\n")
    with pytest.raises(RecipeError, match="Received: 5 and 1"):
        prepare(recipe, tmp_path / "prepared")
    assert not (tmp_path / "prepared" / "pairs" / "1.0.0").exists()
