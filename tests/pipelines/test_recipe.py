"""Recipes: what they take, and what they say about mistakes.

Tests `recipe_file.py`.
"""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from keras_recurrent.pipelines.recipe import (
    CELL_NAMES,
    NUM_HEADS,
    Attention,
    Recipe,
    RecipeError,
    load_recipe,
)


@pytest.fixture
def recipe_file(tmp_path):
    def write(text):
        path = tmp_path / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


CMUDICT = "data: {dataset: cmudict}\n"


def test_defaults_fill_what_the_file_leaves_out(recipe_file):
    recipe = load_recipe(recipe_file(CMUDICT + "model:\n  units: 32\n"))
    assert recipe.data.dataset == "cmudict"
    assert recipe.model.units == 32
    assert recipe.model.cell == "gru"
    assert recipe.training.clipnorm == 1.0


def test_an_empty_section_has_its_defaults(recipe_file):
    recipe = load_recipe(recipe_file(CMUDICT + "model:\n  # units: 32\n"))
    assert recipe.model == Recipe(data=recipe.data).model


def test_overrides_beat_the_file_in_their_order(recipe_file):
    path = recipe_file(CMUDICT + "training: {epochs: 3, patience: 2}\n")
    overrides = [
        "training.epochs=4",
        "training.epochs=5",
        "training.patience=null",
        "model.bidirectional=false",
        "tuning.space.units=[8, 16]",
        "evaluation.token=a=b",
    ]
    recipe = load_recipe(path, overrides)
    assert recipe.training.epochs == 5
    assert recipe.training.patience is None
    assert recipe.model.bidirectional is False
    assert recipe.tuning.space.units == (8, 16)
    assert recipe.evaluation.token == "a=b"


@pytest.mark.parametrize(
    "value, expected", [("average", "average"), ("1", 1.0), ("0.6", 0.6)]
)
def test_the_length_penalty_is_a_number_or_average(
    recipe_file, tmp_path, value, expected
):
    override = f"decoding.length_penalty={value}"
    recipe = load_recipe(recipe_file(CMUDICT), [override])
    assert recipe.decoding.length_penalty == expected
    recipe.save(tmp_path / "again.yaml")
    assert load_recipe(tmp_path / "again.yaml") == recipe


@pytest.mark.parametrize("value", ["mean", "-1", "true", ".inf", "[1]"])
def test_no_other_length_penalty(recipe_file, value):
    override = f"decoding.length_penalty={value}"
    with pytest.raises(RecipeError, match="expected `average` or a number"):
        load_recipe(recipe_file(CMUDICT), [override])


@pytest.mark.parametrize("number", ["1e-3", "1.0e-3", "0.001", "1E-3", ".1e-2"])
def test_every_way_to_write_a_number_is_a_number(recipe_file, number):
    path = recipe_file(CMUDICT + f"training: {{learning_rate: {number}}}\n")
    assert load_recipe(path).training.learning_rate == 0.001
    override = f"training.learning_rate={number}"
    again = load_recipe(recipe_file(CMUDICT), [override])
    assert again.training.learning_rate == 0.001


def test_relative_paths_start_at_the_recipe(tmp_path, recipe_file, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    path = recipe_file(
        "data:\n"
        "  directory: prepared\n"
        "  files: {train: a.tsv, validation: /b.tsv, test: c.tsv}\n"
    )
    data = load_recipe(path, ["data.files.test=mine.tsv"]).data
    assert data.directory == tmp_path / "prepared"
    assert data.files.train == tmp_path / "a.tsv"
    assert data.files.validation == Path("/b.tsv")
    # What is typed at a prompt is relative to where it is typed.
    assert data.files.test == elsewhere / "mine.tsv"


def test_a_saved_recipe_is_the_same_recipe_anywhere(tmp_path, recipe_file):
    path = recipe_file(
        "data:\n"
        "  files: {train: a.tsv, validation: b.tsv, test: c.tsv}\n"
        "training: {learning_rate: 0.00001}\n"
        "evaluation: {token: Lautschrift – ə}\n"
        "tuning: {space: {cell: [lstm, gru], dropout: [0, 0.5]}}\n"
    )
    recipe = load_recipe(path)
    run = tmp_path / "run"
    run.mkdir()
    recipe.save(run / "recipe.yaml")
    assert load_recipe(run / "recipe.yaml") == recipe


FILES = "data:\n  files: {train: a.tsv, validation: b.tsv, test: c.tsv}\n"


def test_files_have_no_features(recipe_file, tmp_path):
    recipe = load_recipe(recipe_file(FILES))
    assert recipe.data.source is recipe.data.target is None
    recipe.save(tmp_path / "kept.yaml")
    kept = (tmp_path / "kept.yaml").read_text()
    assert "word\n" not in kept and "phonemes" not in kept


def test_features_that_older_versions_kept_for_files_are_dropped(recipe_file):
    older = FILES + "  source: word\n  target: phonemes\n"
    assert load_recipe(recipe_file(older)) == load_recipe(recipe_file(FILES))


@pytest.mark.parametrize(
    ("settings", "source", "target"),
    [
        ("{dataset: cmudict}", "word", "phonemes"),
        ("{dataset: cmudict, target: word}", "word", "word"),
        ("{dataset: 'cmudict:1.0.0'}", "word", "phonemes"),
        ("{dataset: wmt, source: de, target: en}", "de", "en"),
        ("{dataset: wmt}", None, None),
    ],
)
def test_features_of_datasets(recipe_file, settings, source, target):
    data = load_recipe(recipe_file(f"data: {settings}\n")).data
    assert (data.source, data.target) == (source, target)


def test_a_recipe_cannot_be_changed(recipe_file):
    recipe = load_recipe(recipe_file(CMUDICT))
    with pytest.raises(ValueError, match="frozen"):
        recipe.model.units = 3


def test_the_cells_are_those_of_the_registry() -> None:
    from keras_recurrent.layers.cells import CELLS

    assert sorted(CELLS) == list(CELL_NAMES)


def test_the_attentions_are_those_of_the_registry() -> None:
    from keras_recurrent.layers.attention import ATTENTIONS

    assert sorted(ATTENTIONS) == sorted(get_args(Attention))
    assert ATTENTIONS["multi_head"](8).num_heads == NUM_HEADS


@pytest.mark.parametrize("name", CELL_NAMES)
def test_cells_by_name(recipe_file, name):
    override = f"model.cell={name}"
    assert load_recipe(recipe_file(CMUDICT), [override]).model.cell == name


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.epoch=3", "training.epoch=3: unknown key.*training.epochs?"),
        ("epochs=3", "epochs=3: unknown key.*Did you mean training.epochs?"),
        ("modle.units=3", r"modle=\{'units': 3\}: unknown key.*mean model?"),
        ("training.lr=1", "training.lr=1: unknown key.*learning_rate"),
        ("tuning.space.unit=[1]", "unknown key.*tuning.space.units?"),
        ("training.epochs='3'", "training.epochs='3': .*integer"),
        ("training.epochs=2.5", "training.epochs=2.5: .*integer"),
        ("training.epochs=true", "training.epochs=True: .*integer"),
        ("training.jit_compile=1", "training.jit_compile=1: .*boolean"),
        ("training.clipnorm=.nan", "training.clipnorm=nan: .*"),
        ("model.units=-1", "model.units=-1: .*greater than 0"),
        ("model.dropout=1", "model.dropout=1.*less than 1"),
        ("training.ema=1", "training.ema=1.*less than 1"),
        ("model.cell=lstn", "model.cell='lstn': expected one of esn, "),
        ("model.query=old", "model.query='old': .*'new_state'"),
        ("model=3", "model=3: expected a section of keys"),
        ("tuning.space.units=64", "tuning.space.units=64: expected a list"),
        ("tuning.space.units=[]", "expected at least one value"),
        ("tuning.space.cell=[gru, a]", "tuning.space.cell.1='a': expected"),
        ("source.max_size=4", "source.max_size=4: .*greater than 4"),
        ("data.directory=3", "data.directory=3: expected a path"),
    ],
)
def test_wrong_values_are_named_in_one_line(recipe_file, override, expected):
    with pytest.raises(RecipeError, match=f"^override: .*{expected}") as error:
        load_recipe(recipe_file(CMUDICT), [override])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "override", ["training.epochs", "=3", ".a=3", "training..epochs=3", ""]
)
def test_an_override_is_a_key_and_a_value(recipe_file, override):
    with pytest.raises(RecipeError, match=r"expected section\.key=value"):
        load_recipe(recipe_file(CMUDICT), [override])


def test_an_override_below_a_value(recipe_file):
    path = recipe_file(CMUDICT + "training: {epochs: 3}\n")
    with pytest.raises(RecipeError, match="'epochs' is a value, not a section"):
        load_recipe(path, ["training.epochs.first=1"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model: {units: 3}\n", "data: this key is required"),
        (CMUDICT + "model: {unit: 3}\n", "model.unit=3: .*mean model.units?"),
        (CMUDICT + "model: {units: x}\n", "model.units='x': .*integer"),
        (CMUDICT + "model: {1: 2}\n", "model.1=1: Keys should be strings"),
        (CMUDICT + "modle: {units: 3}\n", "modle=.*Did you mean model?"),
        (CMUDICT + "model: {units: [3\n", "line 3: broken YAML"),
        (CMUDICT + "a: 1\nb: 2\n", r"unknown key.*\(and 1 more\)"),
        (CMUDICT + CMUDICT, "line 2: broken YAML: key 'data' given twice"),
        ("- a\n", "expected sections such as `data:`. Received: "),
        ("", "expected sections such as `data:`. Received: None"),
        ("data: {}\n", "data: expected exactly one .* Received: none"),
        (
            "data: {dataset: a, files: {train: a, validation: b, test: c}}\n",
            "data: expected exactly one .* Received: dataset and files",
        ),
        (
            "data: {files: {train: a, validation: b}}\n",
            "data.files.test: this key is required",
        ),
        (
            "data: {files: {train: 3, validation: b, test: c}}\n",
            "data.files.train=3: expected a file, a list of files, or",
        ),
        (
            "data: {files: {train: {source: a}, validation: b, test: c}}\n",
            "data.files.train.target: this key is required",
        ),
        (
            CMUDICT + "joint_vocabulary: true\nsource: {case: lower}\n",
            ": `joint_vocabulary: true` needs sections",
        ),
        (
            CMUDICT + "model: {input_feeding: true}\n",
            "model: .*needs `query: new_state`. Received: query='previous",
        ),
        (
            CMUDICT
            + "model: {input_feeding: true, query: new_state, "
            + "deep_output: true}\n",
            "model: .*exclude each other",
        ),
        (
            CMUDICT + "model: {tie_embeddings: true, output_size: 6}\n",
            "model: .*Received: embedding_dim=64, output_size=6",
        ),
        (
            CMUDICT + "source: {split: subwords, unknowns: 2}\n",
            "source: .*one id for what is unknown. Received: unknowns=2",
        ),
        (
            CMUDICT + "model: {attention: multi_head, units: 6}\n",
            "model: .* 4 heads, which must divide the units.*units=6",
        ),
        (
            CMUDICT + "training: {average_of: last}\n",
            "training: .*needs `average` above 1. Received: average=1",
        ),
        (
            CMUDICT
            + "model: {units: 6}\n"
            + "tuning: {space: {attention: [luong, multi_head]}}\n",
            "tuning: .* 4 heads, which must divide the units.*units=6",
        ),
        (
            CMUDICT
            + "model: {attention: multi_head}\n"
            + "tuning: {space: {units: [8, 10, 6]}}\n",
            "tuning: .*units=10, 6",
        ),
    ],
)
def test_wrong_files_are_named_in_one_line(recipe_file, text, expected):
    path = recipe_file(text)
    with pytest.raises(RecipeError, match=f"^{path}.*{expected}") as error:
        load_recipe(path)
    assert "\n" not in str(error.value)


def test_a_missing_file(tmp_path):
    path = tmp_path / "none.yaml"
    with pytest.raises(RecipeError, match=f"^{path}: No such file"):
        load_recipe(path)


def test_a_folder_and_a_binary_file(tmp_path):
    with pytest.raises(RecipeError, match="Is a directory"):
        load_recipe(tmp_path)
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="not UTF-8"):
        load_recipe(tmp_path / "a.yaml")


def test_recipes_do_not_need_tensorflow():
    code = (
        "import sys\n"
        "from keras_recurrent.pipelines import RecipeError, load_recipe\n"
        "assert 'tensorflow' not in sys.modules\n"
        "assert 'keras' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
