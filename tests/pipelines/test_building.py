"""That every key of a recipe's model reaches the model."""

import pytest

from keras_recurrent.models import Seq2Seq
from keras_recurrent.pipelines.building import build_model
from keras_recurrent.pipelines.recipe import ModelConfig, RecipeError


def test_every_key_of_the_recipe_reaches_the_model():
    config = ModelConfig(
        cell="lstm",
        units=5,
        embedding_dim=3,
        encoder_layers=2,
        decoder_layers=3,
        bidirectional=False,
        query="new_state",
        input_feeding=True,
        dropout=0.1,
        recurrent_dropout=0.2,
    )
    model = build_model(config, source_size=11, target_size=13)
    encoder, decoder = model.encoder.get_config(), model.decoder.get_config()
    for part in (encoder, decoder):
        assert (part["cell"], part["units"]) == ("lstm", 5)
        assert part["embedding_dim"] == 3
        assert (part["dropout"], part["recurrent_dropout"]) == (0.1, 0.2)
    assert (encoder["vocabulary_size"], encoder["num_layers"]) == (11, 2)
    assert (decoder["vocabulary_size"], decoder["num_layers"]) == (13, 3)
    assert not encoder["bidirectional"]
    assert (decoder["query"], decoder["input_feeding"]) == ("new_state", True)
    assert (model.start_id, model.end_id) == (2, 3)
    assert model.built


KEYS = {
    "attention": ("luong", lambda m: m.decoder.attention.name, "luong"),
    "attention_options": (
        {"probability_fn": "sparsemax", "dropout": 0.1},
        lambda m: (
            m.decoder.attention.probability_fn,
            m.decoder.attention.dropout,
        ),
        ("sparsemax", 0.1),
    ),
    "bidirectional": ("first", lambda m: m.encoder.bidirectional, "first"),
    "bridge": ("mean", lambda m: m.encoder.summary, "mean"),
    "cell": ("lstm", lambda m: (m.encoder.cell, m.decoder.cell), ("lstm",) * 2),
    "cell_options": (
        {"reset_after": False},
        lambda m: [
            cell.reset_after
            for cell in (
                m.encoder.forward_layers[0].cell,
                m.encoder.backward_layers[0].cell,
                *m.decoder.attention_cell.cells,
            )
        ],
        [False] * 3,
    ),
    "copying": (True, lambda m: m.decoder.copying, True),
    "coverage": (0.5, lambda m: m.coverage, 0.5),
    "decoder_embedding_dim": (
        7,
        lambda m: (m.encoder.embedding_dim, m.decoder.embedding_dim),
        (3, 7),
    ),
    "decoder_embedding_dropout": (
        0.1,
        lambda m: (
            m.encoder.embedding_dropout_layer,
            m.decoder.embedding_dropout_layer.rate,
        ),
        (None, 0.1),
    ),
    "decoder_layers": (2, lambda m: len(m.decoder.attention_cell.cells), 2),
    "decoder_units": (
        7,
        lambda m: (
            m.encoder.units,
            m.decoder.units,
            m.decoder.attention.units,
            m.decoder.output_size,
        ),
        (4, 7, 7, 7),
    ),
    "deep_output": (True, lambda m: m.decoder.deep_output, True),
    "dropout": (
        0.1,
        lambda m: [
            cell.dropout
            for cell in (
                m.encoder.forward_layers[0].cell,
                m.encoder.backward_layers[0].cell,
                *m.decoder.attention_cell.cells,
            )
        ],
        [0.1] * 3,
    ),
    "dtype": (
        "mixed_bfloat16",
        lambda m: sorted({x.compute_dtype for x in m._flatten_layers()}),
        ["bfloat16"],
    ),
    "embedding_dim": (
        5,
        lambda m: (m.encoder.embedding_dim, m.decoder.embedding_dim),
        (5, 5),
    ),
    "embedding_dropout": (
        0.1,
        lambda m: [
            part.embedding_dropout_layer.rate for part in (m.encoder, m.decoder)
        ],
        [0.1] * 2,
    ),
    "encoder_layers": (2, lambda m: len(m.encoder.forward_layers), 2),
    "feature_embedding_dim": (5, lambda m: m.encoder.feature_dims, (5, 5)),
    "guided_attention": (0.5, lambda m: m.guided_attention, 0.5),
    "input_feeding": (True, lambda m: m.decoder.input_feeding, True),
    "memory_dropout": (0.1, lambda m: m.encoder.dropout_layer.rate, 0.1),
    "output_dropout": (0.1, lambda m: m.decoder.dropout_layer.rate, 0.1),
    "output_size": (7, lambda m: m.decoder.output_layer.kernel.shape[0], 7),
    "pyramid": (True, lambda m: m.encoder.stride, 2),
    "query": ("conditional", lambda m: len(m.decoder.attention_cell.cells), 2),
    "recurrent_dropout": (
        0.1,
        lambda m: [
            cell.recurrent_dropout
            for cell in (
                m.encoder.forward_layers[0].cell,
                m.encoder.backward_layers[0].cell,
                *m.decoder.attention_cell.cells,
            )
        ],
        [0.1] * 3,
    ),
    "residual": (
        True,
        lambda m: (m.encoder.residual, m.decoder.attention_cell.residual),
        (True, True),
    ),
    "sampling_probability": (0.5, lambda m: m.sampling_probability, 0.5),
    "sampling_steps": (
        10,
        lambda m: [float(m.sampling_probability(t)) for t in (0, 5, 20)],
        [0, 0.25, 0.5],
    ),
    "tie_embeddings": (True, lambda m: m.decoder.output_layer, None),
    "units": (
        6,
        lambda m: (
            m.encoder.units,
            m.decoder.units,
            m.decoder.attention.units,
        ),
        (6, 6, 6),
    ),
    "unknown_copies": (5, lambda m: m.decoder.logits_size, 18),
}
"""Of each key a value, where it is seen in the model, and what is there."""

NEEDED = {
    "bidirectional": {"encoder_layers": 2},
    "input_feeding": {"query": "new_state"},
    "pyramid": {"encoder_layers": 2},
    "sampling_steps": {"sampling_probability": 0.5},
    "tie_embeddings": {"output_size": 3},
    "unknown_copies": {"copying": True},
}

# And what more there is in the data.
IN_DATA = {"feature_embedding_dim": {"feature_sizes": [6, 7]}}


def test_all_keys_are_here():
    assert KEYS.keys() == ModelConfig.model_fields.keys()


@pytest.mark.parametrize("key", KEYS)
def test_each_key_changes_what_it_says(key):
    value, found, expected = KEYS[key]
    needed, in_data = NEEDED.get(key, {}), IN_DATA.get(key, {})
    without = ModelConfig(units=4, embedding_dim=3).model_copy(update=needed)
    config = ModelConfig(
        **{"units": 4, "embedding_dim": 3, **needed, key: value}
    )
    changed = found(build_model(config, 11, 13, **in_data))
    if key == "attention":
        changed = changed.split("_")[0]
    assert changed == pytest.approx(expected)
    try:
        before = found(build_model(without, 11, 13, **in_data))
    except (AttributeError, TypeError):
        return  # There is no such part.
    assert before != changed


def test_nothing_to_start_from():
    config = ModelConfig(units=4, embedding_dim=3, bridge="zeros")
    assert not build_model(config, 11, 13).decoder.bridges


def test_options_of_the_attention_that_are_none():
    for options in ({"heads": 3}, {"probability_fn": "max"}):
        config = ModelConfig(attention_options=options)
        with pytest.raises(RecipeError, match="model.attention_options"):
            build_model(config, 11, 13)


def test_a_conditional_model_of_a_recipe():
    config = ModelConfig(
        units=5,
        embedding_dim=3,
        query="conditional",
        deep_output=True,
        output_size=3,
        tie_embeddings=True,
        embedding_dropout=0.2,
        decoder_embedding_dropout=0.0,
        memory_dropout=0.3,
        output_dropout=0.4,
    )
    model = build_model(config, source_size=11, target_size=13)
    encoder, decoder = model.encoder.get_config(), model.decoder.get_config()
    assert encoder["embedding_dropout"] == 0.2
    assert decoder["embedding_dropout"] == 0
    assert encoder["output_dropout"] == 0.3
    assert decoder["output_dropout"] == 0.4
    assert decoder["query"] == "conditional"
    assert decoder["deep_output"] and decoder["tie_embeddings"]
    assert decoder["output_size"] == 3


def test_options_of_the_cells_of_a_recipe():
    config = ModelConfig(
        cell="lstm", cell_options={"zoneout_output": 0.25, "use_bias": False}
    )
    model = build_model(config, source_size=11, target_size=13)
    cells = [
        *model.decoder.attention_cell.cells,
        *(layer.cell for layer in model.encoder.forward_layers),
        *(layer.cell for layer in model.encoder.backward_layers),
    ]
    assert all(cell.zoneout_output == 0.25 for cell in cells)
    assert not any(cell.use_bias for cell in cells)
    clone = Seq2Seq.from_config(model.get_config())
    assert clone.encoder.cell_options == config.cell_options
    wrong = ModelConfig(cell="gru", cell_options={"zoneout": 1})
    with pytest.raises(RecipeError, match="model.cell_options: .*: zoneout$"):
        build_model(wrong, source_size=11, target_size=13)
    for value in ("sideways", 2.0):
        wrong = ModelConfig(cell="lstm", cell_options={"zoneout_cell": value})
        with pytest.raises(RecipeError, match="model.cell_options: .*zoneout"):
            build_model(wrong, source_size=11, target_size=13)
    # It has a key of its own.
    twice = ModelConfig(cell_options={"dropout": 0.5})
    with pytest.raises(RecipeError, match="model.cell_options: .*: dropout$"):
        build_model(twice, source_size=11, target_size=13)
