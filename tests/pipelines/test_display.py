"""What is seen of training, on a terminal and elsewhere."""

import re
import sys

import pytest

from keras_recurrent.pipelines import display
from keras_recurrent.pipelines.display import TrainingDisplay
from keras_recurrent.pipelines.recipe import load_recipe
from keras_recurrent.pipelines.run import Run
from keras_recurrent.pipelines.throughput import Throughput
from keras_recurrent.pipelines.training import train

SETTINGS = ("model.cell=simple_rnn", "training.epochs=2")


@pytest.fixture
def run(letters, tmp_path):
    recipe = load_recipe(letters / "letters.yaml", SETTINGS)
    return Run.create(recipe, tmp_path / "run")


def test_elsewhere_there_is_a_line_of_each_epoch(run, capsys):
    assert train(run)
    lines = capsys.readouterr().out.splitlines()
    expected = [
        f"Epoch {x['epoch']}/2: loss {x['loss']:.4f}, "
        f"val_loss {x['val_loss']:.4f}, accuracy {x['accuracy']:.4f}, "
        f"val_accuracy {x['val_accuracy']:.4f}, "
        f"{x['tokens_per_second']:,.0f} tokens/s, {x['seconds']} s"
        for x in run.history()
    ]
    assert lines == expected


def test_on_a_terminal_there_is_a_bar(run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(display, "_EVERY", 0)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert train(run)
    out = capsys.readouterr().out
    bar = r"Epoch {}/2 .*?{}/20  [\d,]+ tokens/s  0:00:\d\d left{}"
    for batch in (1, 20):
        assert re.search(bar.format(1, batch, " "), out)
    (first, _) = run.history()
    validation = f"  val_loss {first['val_loss']:.4g}"
    assert re.search(bar.format(2, 7, re.escape(validation)), out)
    # The lines of the epochs stay, above it.
    assert len(re.findall(r"Epoch [12]/2: loss [^\n]* s", out)) == 2
    assert out.endswith("\x1b[?25h") or "\x1b[?25h" in out[-40:]  # the cursor


def test_the_time_that_is_left(run):
    shown = TrainingDisplay(run, Throughput())
    shown.throughput.now = lambda: 1234.5
    shown.history = [{"val_loss": 2.34567, "seconds": 10.0}]
    shown.began, shown.epoch_began = 100.0, 130.0
    shown.steps, shown.done = 20, 25
    # 25 of 40 batches took 50 seconds.
    assert shown._news(5, 150.0) == (
        "5/20  1,234 tokens/s  0:00:30 left  val_loss 2.346"
    )
    limited = run.recipe.training.model_copy(update={"minutes": 0.75})
    shown.run.recipe = run.recipe.model_copy(update={"training": limited})
    # And 45 seconds are the limit, of which 10 and 20 are over.
    assert "  0:00:15 left" in shown._news(5, 150.0)


def test_how_long_an_epoch_is_need_not_be_known(letters, tmp_path, capsys):
    settings = [*SETTINGS, "training.batch_unit=tokens"]
    settings += ["training.batch_size=100"]
    run = Run.create(load_recipe(letters / "letters.yaml", settings), tmp_path)
    shown = TrainingDisplay(run, Throughput())
    shown.throughput.now = lambda: 1.0
    shown.done = 3
    assert shown._news(3, 1.0) == "3  1 tokens/s"
    assert train(run)
    assert capsys.readouterr().out.count("Epoch") == 2
