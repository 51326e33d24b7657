"""That every key of `training` changes what it says.

Those of `model` are told apart where building is tested. Tests
`build_vocabularies.py`.
"""

import keras
import numpy as np
import pytest

from keras_recurrent.models import Decoder, Encoder, Seq2Seq
from keras_recurrent.pipelines.build_vocabularies import (
    build_vocabularies,
)
from keras_recurrent.pipelines.building import compile_model
from keras_recurrent.pipelines.history import (
    averaged_epochs,
    best_epoch,
    is_finished,
)
from keras_recurrent.pipelines.optimizing import plateau_rate
from keras_recurrent.pipelines.recipe import TrainingConfig, load_recipe
from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.splits import load_splits, within_limits
from keras_recurrent.pipelines.training import (
    load_batches,
)

HISTORY = [
    {"val_loss": 2.0, "val_bleu": 1.0, "seconds": 40},
    {"val_loss": 1.0, "val_bleu": 3.0, "seconds": 40},
    {"val_loss": 3.0, "val_bleu": 5.0, "seconds": 40, "steps": 30},
]


def compiled(config):
    model = Seq2Seq(Encoder(5, 2, 2), Decoder(5, 2, 2))
    compile_model(model, config, batches=100)
    return model


def rate(model):
    """The learning rates at some batches."""
    given = model.optimizer._learning_rate
    if not callable(given):
        return [float(given)] * 3
    return [float(given(step)) for step in (0, 9, 99)]


# Of each key a value, other keys that it needs, and what it changes, of the
# configuration.
KEYS = {
    "average": (2, {}, lambda c: averaged_epochs(HISTORY, c), [1, 2]),
    "average_of": (
        "last",
        {"average": 2},
        lambda c: averaged_epochs(HISTORY, c),
        [2, 3],
    ),
    "best_by": ("bleu", {}, lambda c: best_epoch(HISTORY, c), 3),
    "clipnorm": (0.5, {}, lambda c: compiled(c).optimizer.global_clipnorm, 0.5),
    "ema": (0.9, {}, lambda c: compiled(c).optimizer.ema_momentum, 0.9),
    "epochs": (4, {"epochs": 3}, lambda c: is_finished(HISTORY, c), False),
    "gradient_accumulation": (
        3,
        {},
        lambda c: compiled(c).optimizer.gradient_accumulation_steps,
        3,
    ),
    "jit_compile": (True, {}, lambda c: compiled(c).jit_compile, True),
    "label_smoothing": (
        0.1,
        {},
        lambda c: compiled(c).loss.label_smoothing,
        0.1,
    ),
    "learning_rate": (0.5, {}, lambda c: rate(compiled(c)), [0.5] * 3),
    "minutes": (2.0, {}, lambda c: is_finished(HISTORY, c), True),
    "momentum": (
        0.9,
        {"optimizer": "sgd"},
        lambda c: compiled(c).optimizer.momentum,
        0.9,
    ),
    "optimizer": (
        "adafactor",
        {},
        lambda c: type(compiled(c).optimizer),
        keras.optimizers.Adafactor,
    ),
    "patience": (1, {}, lambda c: is_finished(HISTORY, c), True),
    "plateau_epochs": (
        2,
        {"schedule": "plateau", "learning_rate": 1.0},
        lambda c: plateau_rate(c, [1.0, 2.0]),
        1.0,
    ),
    "schedule": (
        "linear",
        {"learning_rate": 1.0},
        lambda c: rate(compiled(c)),
        [1.0, 0.91, 0.01],
    ),
    "steps": (30, {"epochs": 9}, lambda c: is_finished(HISTORY, c), True),
    "warmup_steps": (
        20,
        {"learning_rate": 1.0},
        lambda c: rate(compiled(c)),
        [0.05, 0.5, 1.0],
    ),
    "weight_decay": (
        0.01,
        {},
        lambda c: compiled(c).optimizer.weight_decay,
        0.01,
    ),
}
# And of a run: as overrides, and what batches are then like.
OF_BATCHES = {
    "batch_size": (8, lambda batches: max(map(len, batches)), 8),
    "batch_unit": ("tokens", lambda batches: max(map(len, batches)), None),
    "max_examples": (10, lambda batches: sum(map(len, batches)), 10),
    "max_length": (
        2,
        lambda batches: max(labels.shape[1] for labels in batches),
        3,  # The end is one more.
    ),
    "seed": (1, lambda batches: batches[0].tolist(), None),
}
# In the tests of `progress.py` and below.
ELSEWHERE = {
    "data_service",
    "checkpoint_minutes",
    "checkpoint_steps",
    "strategy",
}


def test_all_keys_are_here():
    here = KEYS.keys() | OF_BATCHES.keys() | ELSEWHERE
    assert here == TrainingConfig.model_fields.keys()


@pytest.mark.parametrize("key", KEYS)
def test_each_key_changes_what_it_says(key):
    value, needed, found, expected = KEYS[key]
    changed = found(TrainingConfig(**{**needed, key: value}))
    assert changed == pytest.approx(expected)
    before = {k: v for k, v in needed.items() if key != "average_of"}
    assert found(TrainingConfig(**before)) != changed


def batches_of(letters, *overrides):
    """The labels of the training batches of one epoch."""
    recipe = load_recipe(letters / "letters.yaml", overrides)
    splits = load_splits(recipe)
    vocabularies = build_vocabularies(recipe, splits.pairs["train"])
    splits, lengths = within_limits(recipe, vocabularies, splits)
    seed = recipe.training.seed
    batches, _ = load_batches(recipe, vocabularies, seed, splits.pairs, lengths)
    return [labels for _, labels in batches.as_numpy_iterator()]


@pytest.mark.parametrize("key", OF_BATCHES)
def test_each_key_changes_the_batches(key, letters):
    value, found, expected = OF_BATCHES[key]
    before = found(batches_of(letters))
    changed = found(batches_of(letters, f"training.{key}={value}"))
    assert before != changed
    if expected is not None:
        assert changed == expected


def test_the_same_pairs_come_from_a_service(letters, service):
    key = f"training.data_service={service}"
    found = [
        sorted(
            tuple(np.trim_zeros(row)) for labels in batches for row in labels
        )
        for batches in (batches_of(letters), batches_of(letters, key))
    ]
    assert found[0] == found[1]


def sizes(letters, *overrides):
    """The sizes of the vocabularies of a recipe."""
    recipe = load_recipe(letters / "letters.yaml", overrides)
    pairs = load_splits(recipe).pairs["train"]
    return [len(v) for v in build_vocabularies(recipe, pairs)]


def test_vocabularies_of_a_recipe(letters):
    assert sizes(letters) == [8, 8]
    # Sources are words of one token, in lower case, and targets letters.
    same = ("source.split=words", "source.case=keep")
    both = sizes(letters, *same, "joint_vocabulary=true")
    assert both == [sizes(letters, *same)[0] + 4] * 2
    with pytest.raises(RecipeError, match="source.min_count=9999"):
        sizes(letters, "source.min_count=9999")
    assert sizes(letters, "target.max_size=6") == [8, 6]
