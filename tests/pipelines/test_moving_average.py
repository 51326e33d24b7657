"""Moving averages of weights are what is validated and saved."""

import keras
import numpy as np
import pytest

from keras_recurrent.models import Seq2Seq
from keras_recurrent.pipelines import decoded_validation, training
from keras_recurrent.pipelines.build_vocabularies import build_vocabularies
from keras_recurrent.pipelines.building import build_model, compile_model
from keras_recurrent.pipelines.decoded_validation import DecodeValidation
from keras_recurrent.pipelines.moving_average import (
    averages_in_place,
    swap_averages,
)
from keras_recurrent.pipelines.recipe import (
    ModelConfig,
    Recipe,
    TrainingConfig,
    load_recipe,
)
from keras_recurrent.pipelines.run import Run
from keras_recurrent.pipelines.training import train
from tests.oracles import arrays_of

EMA = 0.8
# One batch an epoch, whose order does not matter then.
SETTINGS = [
    *("model.cell=simple_rnn", "model.bidirectional=false"),
    *("training.max_examples=64", "training.batch_size=64"),
    *("training.learning_rate=0.02", f"training.ema={EMA}"),
]


def run_of(letters, folder, *settings):
    recipe = load_recipe(letters / "letters.yaml", [*SETTINGS, *settings])
    return Run.create(recipe, folder)


def values(model):
    return [weight.numpy() for weight in model.trainable_variables]


def averages_of(each, ema=EMA):
    """The average after each step, from the weights after each, by NumPy."""
    found = [each[0]]
    for weights in each[1:]:
        pairs = zip(found[-1], weights, strict=True)
        found.append([ema * a + (1 - ema) * w for a, w in pairs])
    return found


def assert_same(ours, expected, atol=1e-6):
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=atol)


class Watch(keras.callbacks.Callback):
    """Notes the weights after each step, and those that are validated."""

    def __init__(self):
        super().__init__()
        self.steps, self.validated = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(values(self.model))

    def on_test_batch_end(self, batch, logs=None):
        self.validated.append(values(self.model))


@pytest.fixture
def watch(monkeypatch):
    watched = Watch()
    fit = Seq2Seq.fit

    def spy(self, *args, callbacks, **kwargs):
        return fit(self, *args, callbacks=[*callbacks, watched], **kwargs)

    monkeypatch.setattr(Seq2Seq, "fit", spy)
    return watched


def test_averages_are_validated_and_saved(letters, tmp_path, watch):
    run = run_of(letters, tmp_path, "training.epochs=5")
    assert train(run)
    assert len(watch.steps) == 5
    expected = averages_of(watch.steps)
    for found, average in zip(watch.validated, expected, strict=True):
        assert_same(found, average)
    assert not np.allclose(expected[4][0], watch.steps[4][0], atol=1e-3)
    losses = [epoch["val_loss"] for epoch in run.history()]
    assert min(losses) == losses[4]  # so it is the last that was saved
    assert_same(values(keras.saving.load_model(run.model)), expected[4])


def test_decoded_validation_has_the_averages(letters, tmp_path, monkeypatch):
    decoded = []

    def spy(predictor, sources):
        decoded.append(values(predictor.model))
        return [(text, {"hypotheses": [{"text": "A"}]}) for text in sources]

    monkeypatch.setattr(decoded_validation, "hypotheses_in_order", spy)
    run = run_of(
        letters,
        tmp_path,
        *("training.epochs=1", "training.best_by=exact_match"),
    )
    model = trained_for(run.recipe, steps=4)
    raw = values(model)
    pairs = training.load_splits(run.recipe).pairs
    vocabularies = build_vocabularies(run.recipe, pairs["train"])
    callback = DecodeValidation(run.recipe, vocabularies, pairs["validation"])
    callback.set_model(model)
    callback.on_epoch_end(0, {})
    with averages_in_place(model):
        assert_same(decoded[0], values(model), atol=0)
    assert_same(values(model), raw, atol=0)
    assert not np.allclose(decoded[0][0], raw[0])


def trained_for(recipe, steps, dtype="float32", accumulation=1):
    """A tiny model after some steps with gradients drawn at random."""
    config = recipe.model.model_copy(
        update={"units": 3, "embedding_dim": 2, "dtype": dtype}
    )
    keras.utils.set_random_seed(1)
    model = build_model(config, 8, 8)
    optimizing = recipe.training.model_copy(
        update={"gradient_accumulation": accumulation, "clipnorm": None}
    )
    compile_model(model, optimizing, None)
    model.each_step = []
    draw = np.random.default_rng(2)
    for _ in range(steps):
        gradients = [
            keras.ops.convert_to_tensor(draw.normal(size=w.shape), w.dtype)
            for w in model.trainable_variables
        ]
        model.optimizer.apply(gradients, model.trainable_variables)
        model.each_step.append(values(model))
    return model


CONFIG = Recipe.model_construct(
    model=ModelConfig(cell="simple_rnn", bidirectional=False),
    training=TrainingConfig(ema=EMA, optimizer="sgd", learning_rate=0.1),
)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_swapping_there_and_back_is_exact(dtype):
    model = trained_for(CONFIG, steps=6, dtype=dtype)
    raw = values(model)
    with averages_in_place(model):
        found = values(model)
    assert_same(found, averages_of(model.each_step)[-1])
    for before, after in zip(raw, values(model), strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_decay_is_that_of_a_step_also_of_several_batches():
    """While the weights rest, average - weight shrinks by `ema` a step."""
    model = trained_for(CONFIG, steps=3, accumulation=3)
    model.optimizer.learning_rate = 0.0
    zeros = [0 * weight for weight in model.trainable_variables]

    def difference():
        raw = values(model)
        with averages_in_place(model):
            return [a - w for a, w in zip(values(model), raw, strict=True)]

    # The first step was the first average, so the weights are moved by hand.
    for weight in model.trainable_variables:
        weight.assign_add(keras.ops.ones_like(weight))
    before = difference()
    for _ in range(3):
        model.optimizer.apply(zeros, model.trainable_variables)
    assert_same(difference(), [EMA * d for d in before], atol=1e-5)


def test_nothing_is_swapped_without_averages():
    config = CONFIG.model_copy(update={"training": TrainingConfig()})
    model = trained_for(config, steps=2)
    raw = values(model)
    swap_averages(model)
    assert_same(values(model), raw, atol=0)


def of_checkpoint(run, epoch):
    """All numbers of a checkpoint, by their names."""
    return arrays_of(run.checkpoints / f"{epoch}.weights.h5")


@pytest.mark.parametrize("lost", [False, True])
def test_interrupted_and_continued_equals_uninterrupted(
    letters, tmp_path, capsys, lost
):
    """Also from the model, if the last weights are lost."""
    whole = run_of(letters, tmp_path / "whole", "training.epochs=4")
    train(whole)
    parts = run_of(letters, tmp_path / "parts", "training.epochs=2")
    train(parts)
    if lost:
        (parts.checkpoints / "2.weights.h5").unlink()
    parts = run_of(letters, tmp_path / "parts", "training.epochs=4")
    train(parts)
    assert ("are not there" in capsys.readouterr().err) == lost
    for one, other in zip(whole.history(), parts.history(), strict=True):
        assert one["val_loss"] == pytest.approx(other["val_loss"], rel=1e-4)
    ours, expected = (of_checkpoint(run, 4) for run in (parts, whole))
    assert ours.keys() == expected.keys()
    assert_same(ours.values(), expected.values(), atol=1e-4)
    ours, expected = (
        values(keras.saving.load_model(run.model)) for run in (parts, whole)
    )
    assert_same(ours, expected, atol=1e-4)


def test_epochs_are_averaged_by_their_averages(letters, tmp_path, watch):
    settings = ["average=2", "average_of=last", "epochs=3"]
    run = run_of(letters, tmp_path, *(f"training.{x}" for x in settings))
    train(run)
    _, second, third = averages_of(watch.steps)
    mean = [(a + b) / 2 for a, b in zip(second, third, strict=True)]
    assert_same(values(keras.saving.load_model(run.model)), mean)
