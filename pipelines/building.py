"""The model that a recipe asks for."""

from typing import Any

from keras_recurrent.layers.cells import get_cell
from keras_recurrent.models import (
    Decoder,
    Encoder,
    MaskedAccuracy,
    MaskedCrossentropy,
    Seq2Seq,
)
from keras_recurrent.models.stacked_cells import check_options
from keras_recurrent.pipelines.optimizing import make_optimizer
from keras_recurrent.pipelines.recipe import ModelConfig, TrainingConfig
from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.vocabulary import Vocabulary


def build_model(
    config: ModelConfig, source_size: int, target_size: int
) -> Seq2Seq:
    """Build the encoder-decoder for vocabularies of these sizes.

    Raises:
        RecipeError: the cell has no such options, or not of such values.
    """
    try:
        check_options(config.cell, config.cell_options)
        get_cell(config.cell)(config.units, **config.cell_options)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"model.cell_options: {reason}") from None
    except TypeError as error:
        raise RecipeError(
            f"model.cell_options: a value is of the wrong type ({error}). "
            f"Received: {config.cell_options}"
        ) from None
    sizes: dict[str, Any] = {
        "dtype": config.dtype,
        "cell_options": config.cell_options,
        "embedding_dim": config.embedding_dim,
        "units": config.units,
        "cell": config.cell,
        "dropout": config.dropout,
        "recurrent_dropout": config.recurrent_dropout,
    }
    encoder = Encoder(
        source_size,
        num_layers=config.encoder_layers,
        bidirectional=config.bidirectional,
        output_dropout=config.memory_dropout,
        **sizes,
    )
    decoder = Decoder(
        target_size,
        num_layers=config.decoder_layers,
        attention=config.attention,
        query=config.query,
        input_feeding=config.input_feeding,
        deep_output=config.deep_output,
        output_size=config.output_size,
        tie_embeddings=config.tie_embeddings,
        copying=config.copying,
        unknown_copies=config.unknown_copies,
        output_dropout=config.output_dropout,
        **sizes,
    )
    model = Seq2Seq(
        encoder,
        decoder,
        start_id=Vocabulary.start_id,
        end_id=Vocabulary.end_id,
        coverage=config.coverage,
        dtype=config.dtype,
    )
    model.build()
    return model


def compile_model(
    model: Seq2Seq, config: TrainingConfig, batches: int | None
) -> None:
    """Give the model its optimizer, loss and metrics.

    Args:
        model: the model.
        config: the recipe's section.
        batches: of the whole training, None if unknown.
    """
    model.compile(
        optimizer=make_optimizer(config, batches),
        loss=MaskedCrossentropy(label_smoothing=config.label_smoothing),
        metrics=[MaskedAccuracy(name="accuracy")],
        jit_compile=config.jit_compile,
    )
