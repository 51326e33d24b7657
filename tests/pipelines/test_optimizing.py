"""Optimizers and learning rates, against NumPy."""

import keras
import numpy as np
import pytest

from keras_recurrent.models import Decoder, Encoder, Seq2Seq
from keras_recurrent.pipelines.building import compile_model
from keras_recurrent.pipelines.optimizing import (
    WarmedSchedule,
    make_optimizer,
    plateau_rate,
)
from keras_recurrent.pipelines.recipe import RecipeError, TrainingConfig

PEAK, WARM, TOTAL = 0.3, 4, 12


def rates(kind, warm=WARM, steps=15):
    schedule = WarmedSchedule(kind, PEAK, warm, TOTAL)
    clone = WarmedSchedule.from_config(schedule.get_config())
    found = [float(clone(step)) for step in range(steps)]
    assert found == [float(schedule(step)) for step in range(steps)]
    return np.array(found)


def test_warming_up():
    expected = [PEAK / 4, PEAK / 2, 3 * PEAK / 4, PEAK]
    for kind in ("constant", "linear", "cosine", "inverse_sqrt"):
        np.testing.assert_allclose(rates(kind)[:4], expected, rtol=1e-6)


def test_what_follows():
    t = np.arange(WARM, 15)
    gone = np.minimum((t - WARM) / (TOTAL - WARM), 1)
    np.testing.assert_allclose(rates("constant")[WARM:], PEAK, rtol=1e-6)
    np.testing.assert_allclose(
        rates("linear")[WARM:], PEAK * (1 - gone), atol=1e-7
    )
    np.testing.assert_allclose(
        rates("cosine")[WARM:], PEAK * (1 + np.cos(np.pi * gone)) / 2, atol=1e-7
    )
    np.testing.assert_allclose(
        rates("inverse_sqrt")[WARM:], PEAK * np.sqrt(WARM / (t + 1)), rtol=1e-6
    )
    np.testing.assert_allclose(
        rates("inverse_sqrt", 0), PEAK / np.sqrt(np.arange(1, 16)), rtol=1e-6
    )
    # That of Keras, from the first step on.
    keras_cosine = keras.optimizers.schedules.CosineDecay(PEAK, TOTAL)
    expected = [float(keras_cosine(step)) for step in range(15)]
    np.testing.assert_allclose(rates("cosine", 0), expected, atol=1e-7)


def one_cycle(step, top, total):
    """PyTorch's `OneCycleLR`: div_factor=25, final_div_factor=1e4."""
    low = PEAK / 25
    start, end, gone = low, PEAK, step / top
    if step > top:
        start, end = PEAK, low / 1e4
        gone = (step - top) / (total - 1 - top)
    return end + (start - end) / 2 * (1 + np.cos(np.pi * gone))


def test_one_cycle():
    found = rates("one_cycle", 0, TOTAL)
    expected = [one_cycle(t, 0.3 * TOTAL - 1, TOTAL) for t in range(TOTAL)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    assert found[0] == pytest.approx(PEAK / 25)
    assert found[-1] == pytest.approx(PEAK / 250_000)
    assert (rates("one_cycle", 0)[TOTAL:] == found[-1]).all()
    # Over so many steps as are given, of which the last has the peak.
    found = rates("one_cycle", 6, TOTAL)
    expected = [one_cycle(t, 5, TOTAL) for t in range(TOTAL)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    assert found.argmax() == 5 and found[5] == pytest.approx(PEAK)


def test_one_cycle_of_few_batches_begins_at_the_peak():
    """Of two, three tenths are less than one."""
    schedule = WarmedSchedule("one_cycle", PEAK, 0, 2)
    found = [float(schedule(step)) for step in range(2)]
    expected = [one_cycle(step, -0.4, 2) for step in range(2)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_a_plateau_halves():
    config = TrainingConfig(
        learning_rate=1.0, schedule="plateau", plateau_epochs=2
    )
    assert plateau_rate(config, []) == 1
    assert plateau_rate(config, [3.0, 2.0, 2.5]) == 1
    assert plateau_rate(config, [3.0, 2.0, 2.5, 2.0]) == 0.5
    assert plateau_rate(config, [3.0, 2.0, 2.5, 2.0, 2.1]) == 0.5
    assert plateau_rate(config, [3.0, 2.0, 2.5, 2.0, 2.1, 9.0]) == 0.25
    assert plateau_rate(config, [3.0, 2.0, 2.5, 1.9, 2.1]) == 1


@pytest.mark.parametrize(
    "name, kind",
    [
        ("adam", keras.optimizers.Adam),
        ("adafactor", keras.optimizers.Adafactor),
        ("sgd", keras.optimizers.SGD),
    ],
)
def test_the_optimizer_is_the_one_asked_for(name, kind):
    config = TrainingConfig(
        optimizer=name, learning_rate=0.25, clipnorm=2.0, weight_decay=0.5
    )
    optimizer = make_optimizer(config)
    assert type(optimizer) is kind
    assert float(optimizer.learning_rate) == 0.25
    assert (optimizer.global_clipnorm, optimizer.weight_decay) == (2.0, 0.5)


def test_weights_decay_and_biases_do_not():
    model = Seq2Seq(Encoder(7, 2, 2), Decoder(7, 2, 2))
    model.build()
    config = TrainingConfig(
        optimizer="sgd", learning_rate=0.1, weight_decay=0.5
    )
    optimizer = make_optimizer(config)
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape))
    optimizer.build(model.trainable_variables)
    gradients = [0 * v.value for v in model.trainable_variables]
    optimizer.apply_gradients(
        zip(gradients, model.trainable_variables, strict=True)
    )
    for variable in model.trainable_variables:
        kept = "bias" in variable.name
        np.testing.assert_allclose(variable, 1 if kept else 0.95, rtol=1e-6)


def test_gradients_are_accumulated():
    model = Seq2Seq(Encoder(7, 2, 2), Decoder(7, 2, 2))
    config = TrainingConfig(
        optimizer="sgd",
        momentum=0.5,
        gradient_accumulation=3,
        schedule="linear",
        learning_rate=1.0,
    )
    compile_model(model, config, batches=12)
    optimizer = model.optimizer
    assert optimizer.gradient_accumulation_steps == 3
    assert optimizer.momentum == 0.5
    # A step is every third batch, and the rate falls with each batch.
    variable = keras.Variable(np.zeros(1, "float32"))
    optimizer.build([variable])
    found = []
    for _ in range(9):
        optimizer.apply_gradients([(np.ones(1, "float32"), variable)])
        found.append(float(variable[0]))
    expected, value, velocity = [], 0.0, 0.0
    for batch in range(9):
        if batch % 3 == 2:
            velocity = velocity / 2 - (1 - batch / 12)
            value += velocity
        expected.append(value)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_an_end_has_to_be_known():
    for name in ("linear", "cosine", "one_cycle"):
        with pytest.raises(RecipeError, match=f"schedule={name} needs to know"):
            make_optimizer(TrainingConfig(schedule=name))
