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


def test_a_conditional_model_of_a_recipe():
    config = ModelConfig(
        units=5,
        embedding_dim=3,
        query="conditional",
        deep_output=True,
        output_size=3,
        tie_embeddings=True,
        memory_dropout=0.3,
        output_dropout=0.4,
    )
    model = build_model(config, source_size=11, target_size=13)
    encoder, decoder = model.encoder.get_config(), model.decoder.get_config()
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
