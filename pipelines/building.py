"""The model that a recipe asks for."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from keras_recurrent.layers.attention import ATTENTIONS
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
    config: ModelConfig,
    source_size: int,
    target_size: int,
    second_size: int | None = None,
    feature_sizes: Sequence[int] = (),
) -> Seq2Seq:
    """Build the encoder-decoder for vocabularies of these sizes.

    Args:
        config: the recipe's section.
        source_size: of sources.
        target_size: of targets.
        second_size: of second sources, None without these.
        feature_sizes: of the features of source tokens.

    Raises:
        RecipeError: the cell or the attention has no such options, or not of
            such values.
    """
    with _options("cell_options", config.cell_options):
        check_options(config.cell, config.cell_options)
        get_cell(config.cell)(config.units, **config.cell_options)
    units = config.decoder_units or config.units
    with _options("attention_options", config.attention_options):
        attention = ATTENTIONS[config.attention](
            units, dtype=config.dtype, **config.attention_options
        )
    shared: dict[str, Any] = {
        "dtype": config.dtype,
        "cell_options": config.cell_options,
        "cell": config.cell,
        "dropout": config.dropout,
        "recurrent_dropout": config.recurrent_dropout,
        "residual": config.residual,
    }
    dims = [config.feature_embedding_dim] * len(feature_sizes)
    sizes: list[tuple[int, dict[str, Any]]] = [
        (source_size, {"feature_sizes": feature_sizes, "feature_dims": dims})
    ]
    if second_size is not None:
        sizes.append((second_size, {}))
    encoders = [
        Encoder(
            size,
            config.embedding_dim,
            config.units,
            num_layers=config.encoder_layers,
            bidirectional=config.bidirectional,
            embedding_dropout=config.embedding_dropout,
            output_dropout=config.memory_dropout,
            pyramid=config.pyramid,
            summary="mean" if config.bridge == "mean" else "final",
            **features,
            **shared,
        )
        for size, features in sizes
    ]
    decoder_embedding_dropout = config.decoder_embedding_dropout
    if decoder_embedding_dropout is None:
        decoder_embedding_dropout = config.embedding_dropout
    decoder = Decoder(
        target_size,
        config.decoder_embedding_dim or config.embedding_dim,
        units,
        num_layers=config.decoder_layers,
        attention=attention,
        num_sources=len(encoders),
        bridge="zeros" if config.bridge == "zeros" else "dense",
        query=config.query,
        input_feeding=config.input_feeding,
        deep_output=config.deep_output,
        output_size=config.output_size,
        tie_embeddings=config.tie_embeddings,
        copying=config.copying,
        unknown_copies=config.unknown_copies,
        embedding_dropout=decoder_embedding_dropout,
        output_dropout=config.output_dropout,
        **shared,
    )
    sampling: Any = config.sampling_probability
    if config.sampling_steps:
        sampling = keras.optimizers.schedules.PolynomialDecay(
            0.0, config.sampling_steps, config.sampling_probability
        )
    model = Seq2Seq(
        encoders,
        decoder,
        start_id=Vocabulary.start_id,
        end_id=Vocabulary.end_id,
        sampling_probability=sampling,
        guided_attention=config.guided_attention,
        coverage=config.coverage,
        dtype=config.dtype,
    )
    model.build()
    return model


@contextmanager
def _options(key: str, given: Mapping[str, Any]) -> Iterator[None]:
    """Say which key it is that options are wrong of."""
    try:
        yield
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"model.{key}: {reason}") from None
    except TypeError as error:
        raise RecipeError(
            f"model.{key}: there is no such option, or a value is of the wrong "
            f"type ({error}). Received: {dict(given)}"
        ) from None


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
