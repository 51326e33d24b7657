"""Tokens with features in texts, from the recipe to the export.

Tests `factored_vocabulary.py` and `feature_counts.py`.
"""

import random
import shutil
import subprocess
import sys

import pytest
import tensorflow as tf

from keras_recurrent.pipelines.batching import training_batches
from keras_recurrent.pipelines.build_vocabularies import build_vocabularies
from keras_recurrent.pipelines.evaluation import evaluate
from keras_recurrent.pipelines.export import export
from keras_recurrent.pipelines.factored_vocabulary import (
    FactoredVocabulary,
    PartedFactoredVocabulary,
)
from keras_recurrent.pipelines.feature_counts import FeatureCounts
from keras_recurrent.pipelines.predictor import load_predictor
from keras_recurrent.pipelines.recipe import FeaturesConfig, load_recipe
from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.run import Run, RunError
from keras_recurrent.pipelines.training import train
from keras_recurrent.pipelines.vocabulary import Vocabulary

RECIPE = """
data:
  files: {train: train.tsv, validation: validation.tsv, test: test.tsv}
source: {split: words, case: lower}
features: {names: [number, kind]}
target: {split: words, case: lower}
model:
  {cell: gru, units: 24, embedding_dim: 12, feature_embedding_dim: 6}
training: {epochs: 7, batch_size: 16, learning_rate: 0.02}
decoding: {beam_width: 2, max_length: 8}
evaluation: {resamples: 0}
"""
OPTIONS = {
    "features": [
        Vocabulary(["sg", "pl"], "words"),
        Vocabulary(["N"], "words"),
    ],
    "feature_separator": "|",
}
FACTORED = FactoredVocabulary(
    ["a", "b", "c"], "words", "lower", ["spaces"], 1, **OPTIONS
)
PARTED = PartedFactoredVocabulary(
    ["a", "b", "c"],
    "words",
    "keep",
    (),
    1,
    second=Vocabulary(["x"], "words"),
    separator="#",
    **OPTIONS,
)


@pytest.fixture(scope="module")
def factored(tmp_path_factory):
    """Words that are said twice where their feature is `pl`."""
    folder = tmp_path_factory.mktemp("factored")
    draw = random.Random(0)
    for split, count in (("train", 480), ("validation", 40), ("test", 40)):
        lines = []
        for _ in range(count):
            source, target = [], []
            for _ in range(draw.randint(1, 3)):
                word, number = draw.choice("abc"), draw.choice(["sg", "pl"])
                source.append(f"{word}|{number}|{draw.choice('NV')}")
                target += [word] * (1 + (number == "pl"))
            lines.append(f"{' '.join(source)}\t{' '.join(target)}\n")
        (folder / f"{split}.tsv").write_text("".join(lines))
    (folder / "recipe.yaml").write_text(RECIPE)
    run = Run.create(load_recipe(folder / "recipe.yaml"), folder / "run")
    assert train(run)
    return run


def test_tokens_and_features_are_told_apart():
    texts = [
        "A|sg|N  b|pl|N",
        "",
        "a|sg a a|sg|N|N a|sg|",  # too few, too many, an empty one
        "c|dual|N",
        "a\u00a0b|pl|N c|sg|N",  # two tokens, once it is normalized
        "|sg|N c|sg|N",
    ]
    ids = [[4, 5], [], [4] * 4, [6], [4, 5, 6], [6]]
    assert FACTORED.encode(texts).to_list() == ids
    assert FACTORED.tokenize(texts[:1]).to_list() == [[b"a", b"b"]]
    assert FACTORED.words(texts[:1]) == [[b"a", b"b"]]
    assert FACTORED.encode_features(texts).to_list() == [
        [[4, 4], [5, 4]],
        [],
        [[1, 1], [1, 1], [1, 1], [4, 1]],
        [[1, 4]],
        [[5, 4], [5, 4], [4, 4]],
        [[4, 4]],
    ]
    for none in ([], [""], ["", ""]):
        none = tf.constant(none, tf.string)
        assert FACTORED.encode_features(none).flat_values.shape == (0, 2)


def test_a_second_source_stands_behind_all():
    texts = ["a|sg|N b|pl|N # x", "c|pl|N", "#x y"]
    assert PARTED.encode(texts).to_list() == [[4, 5], [6], []]
    assert PARTED.words(texts)[0] == [b"a", b"b"]
    features = [[[4, 4], [5, 4]], [[5, 4]], []]
    assert PARTED.encode_features(texts).to_list() == features
    assert PARTED.encode_second(texts).to_list() == [[4], [], [4, 1]]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unknown_copies": 2, "cache": True},
        {"batch_unit": "tokens", "static_shapes": True},
    ],
    ids=str,
)
def test_batches_have_features(options):
    pairs = tf.data.Dataset.from_tensor_slices(
        {"source": ["a|sg|N b|pl|N#x", "d|pl|V"], "target": ["a", "d d"]}
    )
    target = Vocabulary(["a"], "words")
    size = 16 if "batch_unit" in options else 2
    ((inputs, _),) = training_batches(
        pairs, PARTED, target, size, shuffle=False, **options
    )
    rows = {
        tuple(source): features.tolist()
        for source, features in zip(
            inputs["source"].numpy()[:, :2],
            inputs["features"].numpy()[:, :2],
            strict=True,
        )
    }
    expected = {(4, 5): [[4, 4], [5, 4]], (1, 0): [[5, 1], [0, 0]]}
    assert {row: rows[row] for row in expected} == expected
    assert inputs["features"].shape == (*inputs["source"].shape, 2)
    assert inputs["source_2"].shape[0] == inputs["source"].shape[0]
    if "unknown_copies" in options:
        assert sorted(inputs["copies"].numpy().tolist()) == [[4, 5], [5, 0]]


def test_the_feature_tells_what_to_write(factored):
    predictor = load_predictor(factored)
    texts = ["a|pl|N b|sg|V", "A|sg|N B|pl|N", "c|sg|V", ""]
    found = predictor(tf.constant(texts))
    expected = [b"a a b", b"a b b", b"c", b""]
    assert found["predictions"].numpy().tolist() == expected
    assert found["alignments"].shape == (4, 8, 2)
    evaluate(factored)
    folder = factored.folder
    for name, features in (("number", ["pl", "sg"]), ("kind", ["N", "V"])):
        kept = (folder / f"features.{name}.vocabulary.txt").read_text()
        assert sorted(kept.split()) == features
    assert "|" not in factored.source_vocabulary.read_text()
    sizes = [len(table) for table in predictor.source.features]
    assert list(predictor.model.encoder.feature_sizes) == sizes == [6, 6]


def test_the_export_reads_them(factored, tmp_path):
    export(factored, tmp_path / "export")
    code = (
        "import sys; sys.modules.update(keras=None, keras_recurrent=None)\n"
        "import tensorflow as tf\n"
        f"model = tf.saved_model.load({str(tmp_path / 'export')!r})\n"
        "predict = model.signatures['serving_default']\n"
        "text = tf.constant(['b|pl|N a|sg|N', 'b|sg|N a|pl|N', 'a'])\n"
        "print(predict(text=text)['predictions'].numpy().tolist()[:2])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.stdout.strip() == "[b'b b a', b'b a a']", done.stderr[-500:]


def test_a_vocabulary_that_is_missing_is_told(factored):
    path = factored.feature_vocabularies[1]
    text = path.read_text()
    path.unlink()
    try:
        with pytest.raises(RunError, match="features.kind.vocabulary.txt"):
            Run.open(factored.folder)
    finally:
        path.write_text(text)


def test_runs_decode_together_if_their_features_are_the_same(
    factored, tmp_path
):
    other = tmp_path / "other"
    shutil.copytree(factored.folder, other)
    text = tf.constant(["a|pl|N"])
    found = load_predictor(factored, others=[Run.open(other)])(text)
    assert found["predictions"].numpy().tolist() == [b"a a"]
    recipe = other / "recipe.yaml"
    recipe.write_text(
        recipe.read_text().replace("separator: '|'", "separator: /")
    )
    with pytest.raises(RunError, match="reads .* other features"):
        load_predictor(factored, others=[Run.open(other)])


def test_tokens_without_their_features_are_told(capsys):
    counts = FeatureCounts(FeaturesConfig(names=("number", "kind")))
    for texts in (["a|sg|N b|sg", "c"], ["d|pl|N|x |sg|N", "e|sg|"]):
        counts.add(texts)
    assert counts.most_common() == [["sg"], ["N"]]
    told = " ".join(capsys.readouterr().err.split())
    assert "4 of 6 training source tokens have more or fewer" in told
    assert "than number, kind behind '|' (first: 'b|sg'):" in told
    counts = FeatureCounts(FeaturesConfig(names=("number",), separator="/"))
    counts.add(["a|sg"])
    with pytest.raises(RecipeError, match="has a number, as feature 1 of 1"):
        counts.most_common()


def test_a_joint_vocabulary_has_no_features_in_it(factored):
    folder = factored.folder.parent
    key = "joint_vocabulary=true"
    recipe = load_recipe(folder / "recipe.yaml", [key])
    pairs = tf.data.Dataset.from_tensor_slices(
        {"source": ["a|sg|N"], "target": ["b"]}
    )
    source, target = build_vocabularies(recipe, pairs)
    assert sorted(source.tokens) == sorted(target.tokens) == ["a", "b"]


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["source.split=subwords"], "need `split: words`.*'subwords'"),
        (["source.split=characters"], "need `split: words`"),
        (["features.names=[]"], "features.names"),
        (["features.names=[a,a]"], "the same name"),
        (["features.names=[a/b]"], "features.names"),
        (["features.separator=' '"], "features.separator"),
        (["second_source={separator: '|'}"], "different separators"),
    ],
)
def test_what_recipes_are_refused(factored, overrides, told):
    path = factored.folder.parent / "recipe.yaml"
    with pytest.raises(RecipeError, match=told) as error:
        load_recipe(path, overrides)
    assert "\n" not in str(error.value)
