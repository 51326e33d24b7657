"""Evaluation: the files it writes agree with a count by hand."""

import json
import shutil

import pytest
from rich.console import Console

from keras_recurrent.pipelines.evaluation import evaluate
from keras_recurrent.pipelines.recipe import DataConfig, load_recipe
from keras_recurrent.pipelines.run import Run
from keras_recurrent.pipelines.sources import load_pairs, read_texts


def distance(a, b):
    """Levenshtein's distance, from its definition."""
    if not a or not b:
        return len(a) + len(b)
    return min(
        distance(a[1:], b) + 1,
        distance(a, b[1:]) + 1,
        distance(a[1:], b[1:]) + (a[0] != b[0]),
    )


@pytest.fixture
def run(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return Run.open(tmp_path / "run")


def test_the_numbers_are_those_of_the_predictions(run):
    evaluation = evaluate(run)
    edits = tokens = wrong = 0
    header, *lines = run.predictions.read_text().splitlines()
    assert header == "source\tprediction\tscore\treferences"
    for line in lines:
        source, prediction, score, *references = line.split("\t")
        assert float(score) < 0
        # The other reference, if there is one, is far off.
        right = " ".join(reversed(source.upper()))
        assert right in references
        edits += distance(prediction.split(), right.split())
        tokens += len(right.split())
        wrong += prediction != right
    assert len(lines) == 40
    assert sum("A A A A A A" in line for line in lines) == 10
    rates = evaluation.rates
    assert rates == (edits, tokens, wrong, 40)
    assert rates.token_error_rate < 0.2

    written = json.loads(run.evaluation.read_text())
    assert written["token_error_rate"] == edits / tokens
    assert written["sequence_error_rate"] == wrong / 40
    assert (written["token"], written["sequence"]) == ("letter", "word")
    assert written["decoding"]["beam_width"] == 3
    assert run.attention_picture.read_bytes().startswith(b"\x89PNG")


def test_the_table_says_what_was_measured_and_how(run):
    console = Console(width=100, record=True)
    console.print(evaluate(run).table())
    text = console.export_text()
    assert "Test split: 40 words" in text
    assert "letter error rate (LER)" in text
    assert "word error rate (WER)" in text
    assert "beam width" in text
    assert "compared with the closest one" in text


def test_some_examples_only(run):
    lines = run.recipe_file.read_text()
    run.recipe_file.write_text(
        lines.replace(
            "sequence: word\n  max_examples: null",
            "sequence: word\n  max_examples: 2",
        )
    )
    assert evaluate(Run.open(run.folder)).rates.sequences == 2


def test_what_is_cut_is_counted(run, letters):
    decoding = ["decoding.max_length=4", "decoding.beam_width=1"]
    other = Run(run.folder, load_recipe(run.recipe_file, decoding))
    evaluation = evaluate(other)
    _, *lines = run.predictions.read_text().splitlines()
    predictions = [line.split("\t")[1].split() for line in lines]
    pairs = (letters / "test.tsv").read_text().splitlines()
    references = [pair.split("\t")[1].split() for pair in pairs]
    cut = sum(len(tokens) == 4 for tokens in predictions)
    longer = sum(len(tokens) > 3 for tokens in references)
    written = json.loads(run.evaluation.read_text())
    assert 20 < cut == evaluation.truncated == written["truncated"]
    assert cut < longer == written["long_references"]
    assert written["references"] == len(references) == 50
    console = Console(width=100, record=True)
    console.print(evaluation.table())
    text = console.export_text()
    assert f"{cut} of 40" in text and f"{longer} of 50" in text
    assert "give decoding.max_length=7." in " ".join(text.split())


def test_nothing_is_cut_where_there_is_room(run):
    evaluation = evaluate(run)  # at most 6 tokens, of 8
    assert (evaluation.truncated, evaluation.long_references) == (0, 0)
    assert "decoding.max_length" not in evaluation.table().caption


def test_predictions_are_read_as_pairs_are(run, tmp_path):
    sources = ['a"b', '"', '""ab""', "a\\tb", "'c'", " d "]
    targets = ['"A"', '"', "B \\n", "C", "D,", '"D']
    test = tmp_path / "test.tsv"
    lines = map("\t".join, zip(sources, targets, strict=True))
    test.write_text("\n".join(lines))
    override = f"data.files.test={test}"
    evaluate(Run(run.folder, load_recipe(run.recipe_file, [override])))
    files = dict.fromkeys(("train", "validation", "test"), run.predictions)
    data = DataConfig.model_validate({"files": files})
    texts = read_texts(load_pairs(data, "test"))
    assert sorted(texts["source"][1:]) == sorted(sources)
    columns = run.predictions.read_text().split("\n")[1:-1]
    assert sorted(line.split("\t")[3] for line in columns) == sorted(targets)
