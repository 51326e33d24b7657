"""The search space: what the recipe lists, and nothing else."""

import itertools

import keras_tuner as kt
import pytest

from keras_recurrent.pipelines.recipe import Recipe
from keras_recurrent.tuning.space import space


def recipe(candidates, **model):
    return Recipe.model_validate(
        {
            "data": {"dataset": "cmudict"},
            "model": model,
            "tuning": {"space": candidates},
        }
    )


ALL = {
    "cell": ["gru", "lstm"],
    "units": [16, 32],
    "embedding_dim": [8, 9],
    "encoder_layers": [1, 2],
    "decoder_layers": [1, 2],
    "bidirectional": [True, False],
    "attention": ["bahdanau", "luong"],
    "query": ["previous_state", "new_state"],
    "input_feeding": [False, True],
    "dropout": [0.0, 0.5],
    "recurrent_dropout": [0.0, 0.25],
    "learning_rate": [0.001, 0.01],
}


def test_defaults_need_no_choice():
    fixed = recipe(ALL, units=32, embedding_dim=9)
    chosen = space(kt.HyperParameters(), fixed)
    assert chosen == fixed


def test_a_value_that_is_no_candidate_gives_way_to_the_first():
    chosen = space(kt.HyperParameters(), recipe({"units": [5, 6]}, units=64))
    assert chosen.model.units == 5


def test_an_empty_space_is_the_recipe():
    hp = kt.HyperParameters()
    fixed = recipe({}, cell="lstm", query="new_state", input_feeding=True)
    assert space(hp, fixed) == fixed
    assert hp.space == []
    # What cannot be searched is kept, too.
    fixed = recipe(
        {"cell": ["gru", "lstm"]},
        query="conditional",
        deep_output=True,
        output_size=7,
        output_dropout=0.5,
    )
    model = space(hp, fixed).model
    assert model.cell == "gru" and model.deep_output
    assert (model.output_size, model.output_dropout) == (7, 0.5)


def test_every_candidate_can_be_chosen():
    hp = kt.HyperParameters()
    space(hp, recipe(ALL))
    for name, values in ALL.items():
        if name == "input_feeding":
            continue  # depends on the query
        for value in values:
            hp.values[name] = value
            chosen = space(hp, recipe(ALL))
            section = (
                chosen.training if name == "learning_rate" else chosen.model
            )
            assert getattr(section, name) == value


def test_input_feeding_is_asked_for_with_the_new_state_only():
    fixed = recipe(
        {"query": ALL["query"], "input_feeding": ALL["input_feeding"]}
    )
    hp = kt.HyperParameters()
    space(hp, fixed)
    seen = set()
    for query, feeding in itertools.product(ALL["query"], ALL["input_feeding"]):
        hp.values.update(query=query, input_feeding=feeding)
        model = space(hp, fixed).model
        seen.add((model.query, model.input_feeding))
    assert seen == {
        ("previous_state", False),
        ("new_state", False),
        ("new_state", True),
    }


@pytest.mark.parametrize("query", ALL["query"])
def test_input_feeding_alone(query):
    hp = kt.HyperParameters()
    space(hp, recipe({"input_feeding": [False, True]}, query=query))
    asked = ["input_feeding"] if query == "new_state" else []
    assert [p.name for p in hp.space] == asked


def test_a_searched_query_switches_the_recipes_input_feeding_off():
    fixed = recipe(
        {"query": ["previous_state", "new_state"]},
        query="new_state",
        input_feeding=True,
    )
    hp = kt.HyperParameters()
    assert space(hp, fixed).model.input_feeding
    hp.values["query"] = "previous_state"
    assert not space(hp, fixed).model.input_feeding
