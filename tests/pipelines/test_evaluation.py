"""Evaluation: the files it writes agree with a count by hand.

Tests `hypotheses.py`.
"""

import json
import shutil

import pytest
from rich.console import Console

from keras_recurrent.pipelines.evaluation import evaluate, evaluate_pairs
from keras_recurrent.pipelines.predictor import load_predictor
from keras_recurrent.pipelines.recipe import (
    DataConfig,
    RecipeError,
    load_recipe,
)
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
    override = ["evaluation.max_examples=2"]
    run = Run(run.folder, load_recipe(run.recipe_file, override))
    assert evaluate(run).rates.sequences == 2


def test_the_hypotheses_are_kept(run):
    override = ["evaluation.n_best=3"]
    run = Run(run.folder, load_recipe(run.recipe_file, override))
    evaluate(run)
    files = run.evaluation_files("test")
    lines = files.hypotheses.read_text().splitlines()
    _, *rows = run.predictions.read_text().splitlines()
    assert len(lines) == len(rows) == 40
    forwards = 0
    for line, row in zip(map(json.loads, lines), rows, strict=True):
        source, prediction, score, *references = row.split("\t")
        assert (line["source"], line["references"]) == (source, references)
        best, *others = line["hypotheses"]
        assert best["text"] == prediction
        assert abs(best["score"] - float(score)) < 1e-3
        assert len(others) == 2
        assert best["score"] >= others[0]["score"] >= others[1]["score"]
        # Target tokens in their order, each with a letter of the source.
        pairs = [pair.split("-") for pair in best["alignment"].split()]
        targets = len(prediction.split())
        assert [int(j) for _, j in pairs] == list(range(targets))
        assert all(0 <= int(i) < len(source) for i, _ in pairs)
        forwards += int(pairs[0][0]) < int(pairs[-1][0])
    # The task is to read backwards.
    assert forwards < 5


def test_more_hypotheses_than_beams(run):
    override = ["evaluation.n_best=4"]
    run = Run(run.folder, load_recipe(run.recipe_file, override))
    with pytest.raises(RecipeError, match="more than decoding.beam_width=3"):
        evaluate(run)


def test_a_set_of_its_own_is_kept_apart(run, letters):
    evaluate(run)
    before = run.evaluation.read_bytes()
    data = run.recipe.data
    evaluation = evaluate_pairs(
        run, load_predictor(run), "more", load_pairs(data, "validation")
    )
    assert evaluation.table().title == "more: 40 words"
    assert run.evaluation.read_bytes() == before
    for path in run.evaluation_files("more"):
        assert "more" in path.name and path.exists()


def test_an_ensemble_is_kept_apart(run, barely_trained):
    evaluate(run)
    before = {path: path.read_bytes() for path in run.evaluation_files("test")}
    other = Run.open(barely_trained)
    evaluation = evaluate(run, [other])
    assert evaluation.table().title == (
        "Test split, ensemble of 2 runs: 40 words"
    )
    assert {path: path.read_bytes() for path in before} == before
    assert not list(barely_trained.glob("evaluation*"))
    files = run.evaluation_files("test", [other])
    assert files.numbers.name == "evaluation+other.json"
    assert all(path.exists() for path in files)
    assert run.evaluation_files("more", [other]).predictions.name == (
        "predictions.more+other.tsv"
    )
    written = json.loads(files.numbers.read_text())
    assert written["runs"] == [str(run.folder), str(barely_trained)]
    alone = json.loads(run.evaluation.read_text())
    assert alone["runs"] == [str(run.folder)]
    scores = [
        [line.split("\t")[2] for line in path.read_text().splitlines()[1:]]
        for path in (run.predictions, files.predictions)
    ]
    assert len(scores[0]) == len(scores[1]) == 40
    assert scores[0] != scores[1]


def test_the_measures_that_are_asked_for(run):
    names = "bleu,chrf,ter,exact_match,character_error_rate".split(",")
    overrides = [f"evaluation.measures=[{', '.join(names)}]"]
    run = Run(run.folder, load_recipe(run.recipe_file, overrides))
    evaluation = evaluate(run)
    written = json.loads(run.evaluation.read_text())["measures"]
    assert list(written) == names
    for name, one in evaluation.measured.items():
        low, high = one.interval
        assert low <= one.value <= high
        assert written[name]["signature"] == one.signature
    assert "tok:13a" in written["bleu"]["signature"]
    rates = evaluation.rates
    assert evaluation.measured["exact_match"].value == pytest.approx(
        1 - rates.sequence_error_rate
    )


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
    # In their order, though decoded by length.
    assert texts["source"][1:] == sources
    columns = run.predictions.read_text().split("\n")[1:-1]
    assert [line.split("\t")[3] for line in columns] == targets
