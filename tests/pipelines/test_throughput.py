"""Target tokens a second, against a count of the texts and a clock of ours."""

from itertools import count
from types import SimpleNamespace

from keras_recurrent.pipelines import throughput
from keras_recurrent.pipelines.recipe import load_recipe
from keras_recurrent.pipelines.run import Run
from keras_recurrent.pipelines.training import train


def test_tokens_of_training_over_seconds_of_training(
    letters, tmp_path, monkeypatch
):
    clock = count(100.0, 4.0)  # looked at twice an epoch
    monkeypatch.setattr(
        throughput, "time", SimpleNamespace(perf_counter=lambda: next(clock))
    )
    # Batches of different lengths, so there is padding; a smaller last one.
    settings = ["model.cell=simple_rnn", "training.epochs=2"]
    settings += ["training.batch_size=48"]
    run = Run.create(load_recipe(letters / "letters.yaml", settings), tmp_path)
    assert train(run)
    lines = (letters / "train.tsv").read_text().splitlines()
    tokens = sum(len(line.split("\t")[1].split()) + 1 for line in lines)
    found = [epoch["tokens_per_second"] for epoch in run.history()]
    assert found == [round(tokens / 4, 1)] * 2
