"""When a training is finished, and which epoch was its best."""

import math

import keras
from hypothesis import given
from hypothesis import strategies as st

from keras_recurrent.pipelines.history import (
    averaged_epochs,
    best_epoch,
    best_value,
    is_finished,
)
from keras_recurrent.pipelines.recipe import TrainingConfig


@given(
    st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0]), min_size=1, max_size=9),
    st.integers(1, 4),
)
def test_patience_is_that_of_keras(losses, patience):
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=patience)
    stopping.set_model(keras.Sequential())
    stopping.on_train_begin()
    config = TrainingConfig(epochs=99, patience=patience)
    history = []
    for epoch, loss in enumerate(losses):
        history.append({"val_loss": loss})
        stopping.on_epoch_end(epoch, history[-1])
        expected = stopping.stopped_epoch > 0
        assert is_finished(history, config) == expected
        if expected:
            break


def test_a_loss_that_is_no_number_never_is_the_best():
    history = [{"val_loss": math.nan}, {"val_loss": 2.0}, {"val_loss": 3.0}]
    config = TrainingConfig(epochs=9, patience=1)
    assert best_value(history, config) == 2.0
    assert best_epoch(history, config) == 2
    for nothing in (history[:1], []):
        assert best_value(nothing, config) == math.inf
        assert best_epoch(nothing, config) == 0
    assert not is_finished(history[:2], config)
    assert is_finished(history, config)


def test_no_epochs_are_not_finished():
    assert not is_finished([], TrainingConfig(epochs=1))
    assert not is_finished([], TrainingConfig(epochs=1, patience=1))
    assert is_finished([{"val_loss": 1.0}], TrainingConfig(epochs=1))


def test_what_is_best_by_a_measure():
    history = [
        {"val_loss": 1.0, "val_bleu": 20.0, "val_ter": 70.0},
        {"val_loss": 3.0, "val_bleu": 30.0, "val_ter": 80.0},
        {"val_loss": 2.0, "val_bleu": 25.0, "val_ter": 60.0},
    ]
    for name, best, finished in (
        ("loss", 1, True),
        ("bleu", 2, False),
        ("ter", 3, False),
    ):
        config = TrainingConfig(epochs=9, patience=2, best_by=name)
        assert best_epoch(history, config) == best
        assert is_finished(history, config) == finished


def test_minutes():
    config = TrainingConfig(epochs=9, minutes=1.0)
    epochs = [{"val_loss": 1.0, "seconds": 25.0}] * 3
    assert not is_finished(epochs[:2], config)
    assert is_finished(epochs, config)


def test_epochs_that_are_averaged():
    losses = [3.0, 1.0, math.nan, 2.0, 1.0, 4.0]
    history = [{"val_loss": loss, "val_bleu": -loss} for loss in losses]
    for average, of, expected in (
        (1, "best", [2]),
        (2, "best", [2, 5]),
        (3, "best", [2, 4, 5]),
        (9, "best", [1, 2, 4, 5, 6]),
        (2, "last", [5, 6]),
        (4, "last", [2, 4, 5, 6]),
    ):
        for best_by in ("loss", "bleu"):
            config = TrainingConfig.model_construct(
                average=average, average_of=of, best_by=best_by
            )
            assert averaged_epochs(history, config) == expected
    assert averaged_epochs([], TrainingConfig(average=2)) == []
