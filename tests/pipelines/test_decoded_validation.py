"""The best epoch by what is decoded, as `evaluate` measures it."""

import keras
import pytest

from keras_recurrent.pipelines.evaluation import evaluate_pairs
from keras_recurrent.pipelines.predictor import load_predictor
from keras_recurrent.pipelines.recipe import load_recipe
from keras_recurrent.pipelines.run import Run
from keras_recurrent.pipelines.sources import load_pairs
from keras_recurrent.pipelines.training import train


def test_the_kept_model_is_the_best_by_its_measure(letters, tmp_path, capsys):
    settings = [
        "model.cell=simple_rnn",
        "training.epochs=3",
        "training.learning_rate=0.01",
        "training.best_by=exact_match",
        "evaluation.measures=[exact_match]",
        "evaluation.max_examples=30",
        "decoding.beam_width=2",
    ]
    recipe = load_recipe(letters / "letters.yaml", settings)
    run = Run.create(recipe, tmp_path)
    assert train(run)
    found = [epoch["val_exact_match"] for epoch in run.history()]
    assert max(found) > 0
    predictor = load_predictor(run)
    pairs = load_pairs(recipe.data, "validation")
    evaluation = evaluate_pairs(run, predictor, "validation", pairs)
    expected = evaluation.measured["exact_match"].value
    assert max(found) == pytest.approx(expected)
    assert capsys.readouterr().out.count("Validation: exact match") == 3
    # Other callbacks get it too, and the picture of the training.
    assert run.training_picture.exists()
    assert isinstance(keras.saving.load_model(run.model), keras.Model)
