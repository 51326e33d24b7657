"""Two sources in one text, from the recipe to the export.

Tests `parted_vocabulary.py` and `vocabularies.py`.
"""

import random
import subprocess
import sys

import pytest
import tensorflow as tf

from keras_recurrent.pipelines.batching import training_batches
from keras_recurrent.pipelines.evaluation import evaluate
from keras_recurrent.pipelines.export import export
from keras_recurrent.pipelines.parted_vocabulary import (
    PartedVocabulary,
    cut_in_two,
)
from keras_recurrent.pipelines.predictor import load_predictor
from keras_recurrent.pipelines.recipe import load_recipe
from keras_recurrent.pipelines.run import Run, RunError
from keras_recurrent.pipelines.training import train
from keras_recurrent.pipelines.vocabulary import Vocabulary

RECIPE = """
data:
  files: {train: train.tsv, validation: validation.tsv, test: test.tsv}
second_source: {separator: "#", split: words}
model: {cell: gru, units: 24, embedding_dim: 12}
training: {epochs: 7, batch_size: 16, learning_rate: 0.02}
decoding: {beam_width: 2, max_length: 8}
evaluation: {resamples: 0}
"""
SECOND = Vocabulary(["sg", "pl"], "words")
PARTED = PartedVocabulary(
    list("abc"), "characters", "keep", (), 1, second=SECOND, separator="#"
)


@pytest.fixture(scope="module")
def inflected(tmp_path_factory):
    """Words that end in s with `pl` and are as they stand with `sg`."""
    folder = tmp_path_factory.mktemp("inflected")
    draw = random.Random(0)
    for split, count in (("train", 480), ("validation", 40), ("test", 40)):
        lines = []
        for _ in range(count):
            word = "".join(draw.choices("abc", k=draw.randint(1, 3)))
            form = draw.choice(["sg", "pl"])
            end = "s" if form == "pl" else ""
            lines.append(f"{word}#{form}\t{word}{end}\n")
        (folder / f"{split}.tsv").write_text("".join(lines))
    (folder / "recipe.yaml").write_text(RECIPE)
    run = Run.create(load_recipe(folder / "recipe.yaml"), folder / "run")
    assert train(run)
    return run


def test_texts_are_cut_at_the_first_separator():
    texts = ["ab # sg", "c", "", "a#pl#x"]
    first, second = cut_in_two(tf.constant(texts), "#")
    assert first.numpy().tolist() == [b"ab", b"c", b"", b"a"]
    assert second.numpy().tolist() == [b"sg", b"", b"", b"pl#x"]
    assert PARTED.encode(texts).to_list() == [[4, 5], [6], [], [4]]
    assert PARTED.encode_second(texts).to_list() == [[4], [], [], [1]]
    assert PARTED.words(texts) == [[b"a", b"b"], [b"c"], [], [b"a"]]
    for none in (tf.constant(["a", "b"]), tf.constant([], tf.string)):
        assert not tf.strings.reduce_join(cut_in_two(none, "#")[1]).numpy()


@pytest.mark.parametrize("copies", [None, 2])
def test_batches_have_both(copies):
    pairs = tf.data.Dataset.from_tensor_slices(
        {"source": ["ab#pl", "c#sg sg"], "target": ["a", "x"]}
    )
    ((inputs, _),) = training_batches(
        pairs, PARTED, PARTED, 2, shuffle=False, unknown_copies=copies
    )
    assert inputs["source"].numpy().tolist() == [[4, 5], [6, 0]]
    assert inputs["source_2"].numpy().tolist() == [[5, 0], [4, 4]]
    assert ("copies" in inputs) == (copies is not None)


def test_both_are_needed(inflected):
    """The second source alone tells the ending."""
    predictor = load_predictor(inflected)
    found = predictor(tf.constant(["ab#pl", "ab#sg", "#pl"]))
    assert found["predictions"].numpy().tolist() == [b"abs", b"ab", b""]
    assert found["alignments"].shape == (3, 8, 2)
    evaluate(inflected)
    kept = inflected.second_vocabulary.read_text().split()
    assert sorted(kept) == ["pl", "sg"]


def test_predict_tells_what_is_missing(inflected):
    command = [sys.executable, "-m", "keras_recurrent", "predict"]
    done = subprocess.run(
        [*command, str(inflected.folder), "ab#pl", "ab"],
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("ab#pl\tabs\n")
    assert "1 of 2 texts have no second source behind '#'" in done.stderr


def test_the_export_reads_both(inflected, tmp_path):
    export(inflected, tmp_path / "export")
    code = (
        "import sys; sys.modules.update(keras=None, keras_recurrent=None)\n"
        "import tensorflow as tf\n"
        f"model = tf.saved_model.load({str(tmp_path / 'export')!r})\n"
        "predict = model.signatures['serving_default']\n"
        "found = predict(text=tf.constant(['ba#pl', 'ba#sg']))\n"
        "print(found['predictions'].numpy().tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.stdout.strip() == "[b'bas', b'ba']", done.stderr[-500:]


def test_a_vocabulary_that_is_missing_is_told(inflected):
    path = inflected.second_vocabulary
    text = path.read_text()
    path.unlink()
    try:
        with pytest.raises(RunError, match="second_source"):
            Run.open(inflected.folder)
            load_predictor(inflected)
    finally:
        path.write_text(text)
