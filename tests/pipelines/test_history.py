"""When a training is finished, and which epoch was its best."""

import math

import keras
from hypothesis import given
from hypothesis import strategies as st

from keras_recurrent.pipelines.history import best_loss, is_finished
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
    assert best_loss(history) == 2.0
    assert best_loss(history[:1]) == best_loss([]) == math.inf
    config = TrainingConfig(epochs=9, patience=1)
    assert not is_finished(history[:2], config)
    assert is_finished(history, config)


def test_no_epochs_are_not_finished():
    assert not is_finished([], TrainingConfig(epochs=1))
    assert not is_finished([], TrainingConfig(epochs=1, patience=1))
    assert is_finished([{"val_loss": 1.0}], TrainingConfig(epochs=1))
