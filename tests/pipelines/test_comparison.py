"""Two runs, compared by what evaluation has kept of them."""

import shutil

import pytest
from rich.console import Console

from keras_recurrent.pipelines.comparison import compare
from keras_recurrent.pipelines.evaluation import evaluate
from keras_recurrent.pipelines.recipe import load_recipe
from keras_recurrent.pipelines.run import Run, RunError


@pytest.fixture(scope="module")
def runs(trained, tmp_path_factory):
    """The same model, once with an output that is too short for most."""
    found = []
    for name, override in (("one", 8), ("other", 4)):
        folder = tmp_path_factory.mktemp("compared") / name
        shutil.copytree(trained, folder)
        run = Run(
            folder,
            load_recipe(
                folder / "recipe.yaml", [f"decoding.max_length={override}"]
            ),
        )
        evaluate(run)
        found.append(run)
    return found


def test_a_difference(runs):
    one, other = runs
    found = compare(one, other)
    assert found.sentences == 40
    for values, p in zip(found.measured, found.probabilities, strict=True):
        assert values[0].value < values[1].value
        assert p < 0.01
    console = Console(width=200, record=True)
    console.print(found.table())
    text = console.export_text()
    assert "test: 40 sources" in text and "letter error rate (LER)" in text
    assert str(one.folder) in text and str(other.folder) in text


def test_none(runs):
    found = compare(runs[0], runs[0])
    assert min(found.probabilities) == 1


def test_other_sources(runs, tmp_path):
    one, other = runs
    shutil.copytree(other.folder, tmp_path / "third")
    third = Run(tmp_path / "third", other.recipe)
    lines = third.predictions.read_text().splitlines()
    third.predictions.write_text("\n".join(lines[:-1]))
    missing = lines[-1].split("\t")[0]
    message = f"different sources or references; '{missing}' is in one of"
    with pytest.raises(RunError, match=message):
        compare(one, third)
    third.predictions.write_text("\n".join([*lines[:-1], missing]))
    with pytest.raises(RunError, match="predictions.tsv, line 41: damaged"):
        compare(one, third)
    third.predictions.unlink()
    with pytest.raises(RunError, match="has not been evaluated on 'test'. Fir"):
        compare(one, third)
