"""Training a recipe with `fit`, so that an interrupted run goes on."""

import sys
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.models import (
    Decoder,
    Encoder,
    MaskedAccuracy,
    MaskedCrossentropy,
    Seq2Seq,
)
from keras_recurrent.pipelines.batching import training_batches
from keras_recurrent.pipelines.lengths import warn_of_lengths
from keras_recurrent.pipelines.progress import (
    KeepProgress,
    is_finished,
    restore,
)
from keras_recurrent.pipelines.recipe import (
    ModelConfig,
    Recipe,
    TrainingConfig,
)
from keras_recurrent.pipelines.run import Run, RunError
from keras_recurrent.pipelines.sources import load_pairs, read_texts
from keras_recurrent.pipelines.vocabulary import Vocabulary


def build_model(
    config: ModelConfig, source_size: int, target_size: int
) -> Seq2Seq:
    """Build the encoder-decoder for vocabularies of these sizes."""
    sizes: dict[str, Any] = {
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
        **sizes,
    )
    decoder = Decoder(
        target_size,
        num_layers=config.decoder_layers,
        attention=config.attention,
        query=config.query,
        input_feeding=config.input_feeding,
        **sizes,
    )
    model = Seq2Seq(
        encoder,
        decoder,
        start_id=Vocabulary.start_id,
        end_id=Vocabulary.end_id,
    )
    model.build()
    return model


def compile_model(model: Seq2Seq, config: TrainingConfig) -> None:
    """Give the model its optimizer, loss and metrics."""
    model.compile(
        optimizer=keras.optimizers.Adam(
            config.learning_rate, global_clipnorm=config.clipnorm
        ),
        loss=MaskedCrossentropy(label_smoothing=config.label_smoothing),
        metrics=[MaskedAccuracy(name="accuracy")],
        jit_compile=config.jit_compile,
    )


def build_vocabularies(recipe: Recipe) -> tuple[Vocabulary, Vocabulary]:
    """Number the tokens of the training texts, of sources and of targets."""
    texts = read_texts(_training_pairs(recipe))
    return tuple(  # type: ignore[return-value]
        Vocabulary.build(
            texts[side], config.split, config.case, config.max_size
        )
        for side, config in (
            ("source", recipe.source),
            ("target", recipe.target),
        )
    )


def load_batches(
    recipe: Recipe, vocabularies: tuple[Vocabulary, Vocabulary], seed: int
) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Return the batches for training and those for validation.

    Says on stderr where the data is too long; see `warn_of_lengths`.
    """
    config = recipe.training
    pairs = {
        "train": _training_pairs(recipe),
        "validation": load_pairs(recipe.data, "validation"),
    }
    warn_of_lengths(recipe, vocabularies, pairs)
    train = training_batches(
        pairs["train"],
        *vocabularies,
        config.batch_size,
        seed=seed,
        static_shapes=config.jit_compile,
    )
    validation = training_batches(
        pairs["validation"],
        *vocabularies,
        config.batch_size,
        shuffle=False,
        static_shapes=config.jit_compile,
    )
    return train, validation.cache()


def train(run: Run) -> bool:
    """Train until the recipe's epochs are done or patience is lost.

    After each epoch the metrics are written to the run folder, the model too
    if its validation loss is the best so far. An interrupted run goes on
    after its last whole epoch.

    Returns:
        Whether there was anything left to do.

    Raises:
        RunError: the loss was never a number.
    """
    config = run.recipe.training
    if is_finished(run.history(), config):
        return False
    # A run that goes on must not see the order of its first epoch again.
    seed = config.seed + len(run.history())
    keras.utils.set_random_seed(seed)
    vocabularies = build_vocabularies(run.recipe)
    vocabularies[0].save(run.source_vocabulary)
    vocabularies[1].save(run.target_vocabulary)
    batches, validation = load_batches(run.recipe, vocabularies, seed)
    model = build_model(run.recipe.model, *map(len, vocabularies))
    compile_model(model, config)
    model.fit(
        batches,
        validation_data=validation,
        initial_epoch=restore(run, model),
        epochs=config.epochs,
        shuffle=False,  # the batches are shuffled already
        verbose=verbosity(),
        callbacks=[
            keras.callbacks.TerminateOnNaN(),
            keras.callbacks.TensorBoard(run.events, write_graph=False),
            KeepProgress(run),
        ],
    )
    if not run.model.exists():
        raise RunError(
            f"{run.folder}: the loss is not a number, so no model was saved. "
            f"Try a training.learning_rate below {config.learning_rate}"
        )
    return True


def verbosity() -> int:
    """A progress bar on a terminal, a line per epoch elsewhere."""
    return 1 if sys.stdout.isatty() else 2


def _training_pairs(recipe: Recipe) -> tf.data.Dataset:
    pairs = load_pairs(recipe.data, "train")
    limit = recipe.training.max_examples
    return pairs if limit is None else pairs.take(limit)
