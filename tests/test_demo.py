"""The demonstration, on a task so small that it takes seconds."""

import pytest
import yaml

from keras_recurrent import demo
from keras_recurrent.pipelines.recipe import load_recipe
from keras_recurrent.pipelines.run import Run


@pytest.fixture
def small(letters, tmp_path, monkeypatch):
    recipe = tmp_path / "package" / "demo.yaml"
    recipe.parent.mkdir()
    settings = yaml.safe_load((letters / "letters.yaml").read_text())
    settings["data"]["files"] = {
        split: str(letters / name)
        for split, name in settings["data"]["files"].items()
    }
    settings["model"] = {"cell": "simple_rnn", "bidirectional": False}
    settings["training"]["epochs"] = 1
    settings["tuning"] = {
        "max_trials": 2,
        "steps_per_epoch": 2,
        "space": {"units": [4, 8]},
    }
    recipe.write_text(yaml.safe_dump(settings))
    monkeypatch.setattr(demo, "files", lambda package: recipe.parent)


@pytest.mark.thorough
def test_from_the_search_to_the_clean_process(small, tmp_path, capsys):
    folder = tmp_path / "run"
    demo.run_demo(folder)
    output = capsys.readouterr().out
    for command in ("tune", "train", "evaluate", "export"):
        assert f"keras-recurrent {command} " in output
    assert "Search: 2 trials" in output
    assert "letter error rate (LER)" in output
    assert output.count("log-probability") == 5
    run = Run.open(folder)
    for path in (
        run.best,
        run.search / "results.csv",
        run.training_picture,
        run.attention_picture,
        run.evaluation,
        run.export / "saved_model.pb",
    ):
        assert path.exists()
    assert f"keras-recurrent predict {folder}" in output.splitlines()[-1]

    # Again: every stage is recognised, only the clean process runs.
    def times():
        files = (p for p in folder.rglob("*") if p.name != ".lock")
        return {p: p.stat().st_mtime_ns for p in files}

    before = times()
    demo.run_demo(folder)
    assert times() == before
    again = capsys.readouterr().out
    assert again.count("Done already") == 3
    assert "training is finished already" in again
    served = [x for x in output.splitlines() if "log-probability" in x]
    assert [x for x in again.splitlines() if "log-probability" in x] == served


def test_an_export_that_cannot_be_served_is_reported(tmp_path):
    with pytest.raises(demo.RunError, match="cannot be served"):
        demo._serve(tmp_path / "missing")


def test_the_shipped_recipe_tries_all_that_it_lists():
    recipe = load_recipe(demo.files("keras_recurrent") / "demo.yaml")
    listed = recipe.tuning.space.model_dump(exclude_none=True)
    assert listed == {
        "cell": ("lstm", "gru", "simple_rnn"),
        "units": (64, 128),
    }
    assert recipe.tuning.max_trials == 6
    assert recipe.evaluation.max_examples is None
    assert recipe.training.max_examples is None
