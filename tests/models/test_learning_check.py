"""The warning for models that have stopped to learn."""

import warnings

import keras
import numpy as np
import pytest

from keras_recurrent.models import (
    Decoder,
    Encoder,
    LearningCheck,
    MaskedCrossentropy,
    Seq2Seq,
)

V = 9
SOURCE = np.array([[4, 5, 6], [7, 8, 0]])
INPUTS = {"source": SOURCE, "target": np.array([[2, 4, 5, 6], [2, 7, 8, 0]])}
LABELS = np.array([[4, 5, 6, 3], [7, 8, 3, 0]])
COUNTS = np.bincount(LABELS.ravel(), minlength=V) * (np.arange(V) > 0)


@pytest.fixture
def check(seed):
    """Of a model that has just begun, at the frequencies of tokens."""
    model = Seq2Seq(
        Encoder(V, 5, 6, cell="simple_rnn", bidirectional=False),
        Decoder(V, 5, 6, cell="simple_rnn"),
    )
    model.compile("adam", MaskedCrossentropy())
    model.build()
    model.decoder.adapt(LABELS)
    kernel = model.decoder.output_layer.kernel
    kernel.assign(0 * kernel)
    check = LearningCheck(INPUTS, LABELS, COUNTS)
    check.set_model(model)
    return check


def after(check, steps, **logs):
    check.model.optimizer.iterations.assign(steps)
    check.on_epoch_end(1, logs)


def test_a_loss_of_frequencies_is_told_once(check):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        after(check, 299)  # too early to tell
    # Five tokens occur once, the end twice; three others count as once each.
    entropy = -(5 * np.log(1 / 10) + 2 * np.log(2 / 10)) / 7
    with pytest.warns(UserWarning, match=rf"after epoch 2 .* {entropy:.2f}"):
        after(check, 300)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        after(check, 400)


def test_outputs_that_are_all_the_same_are_told_early(check):
    cell = check.model.decoder.attention_cell
    cell.output_kernel.assign(0 * cell.output_kernel)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        after(check, 49)
    with pytest.warns(UserWarning, match=r"same for all tokens \(0% of the"):
        after(check, 50)


def test_a_model_that_learns_is_left_in_peace(check):
    model = check.model
    model.compile(keras.optimizers.Adam(0.02), MaskedCrossentropy())
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        history = model.fit(INPUTS, LABELS, epochs=60, verbose=0).history
        after(check, 400)
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_a_look_is_taken_only_where_it_may_be_needed(check, monkeypatch):
    looks = []
    look = check._look
    monkeypatch.setattr(
        check, "_look", lambda: (looks.append(steps), look())[1]
    )
    check.warned = False
    check.model.decoder.output_layer.bias.assign(5.0 * np.eye(V)[4])
    for steps in range(0, 1300, 10):
        # Worse than frequencies but for the first look.
        check.warned = False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            after(check, steps, loss=0.1 if steps == 50 else 9.0)
    assert looks == [60, 120, 240, 300, 600, 1200]
    check.on_train_begin()
    after(check, 1300)
    assert looks[-1] == 1200
