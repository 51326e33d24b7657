"""Training a recipe with `fit`, so that an interrupted run goes on."""

import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_recurrent.pipelines.averaging import average_epochs
from keras_recurrent.pipelines.batching import training_batches
from keras_recurrent.pipelines.board import Board
from keras_recurrent.pipelines.build_vocabularies import build_vocabularies
from keras_recurrent.pipelines.building import build_model, compile_model
from keras_recurrent.pipelines.decoded_validation import DecodeValidation
from keras_recurrent.pipelines.display import TrainingDisplay
from keras_recurrent.pipelines.factored_vocabulary import FactoredVocabulary
from keras_recurrent.pipelines.files import whole_file
from keras_recurrent.pipelines.history import is_finished
from keras_recurrent.pipelines.moving_average import ValidateAverages
from keras_recurrent.pipelines.optimizing import ENDING
from keras_recurrent.pipelines.origin import Fingerprint, say
from keras_recurrent.pipelines.parted_vocabulary import (
    PartedVocabulary,
)
from keras_recurrent.pipelines.progress import KeepProgress, restore
from keras_recurrent.pipelines.recipe import (
    Recipe,
    TrainingConfig,
)
from keras_recurrent.pipelines.run import Run, RunError
from keras_recurrent.pipelines.sources import fingerprint
from keras_recurrent.pipelines.splits import (
    Splits,
    load_splits,
    within_limits,
)
from keras_recurrent.pipelines.strategy import make_strategy
from keras_recurrent.pipelines.tensorflow_files import tensorflow_files
from keras_recurrent.pipelines.throughput import Throughput
from keras_recurrent.pipelines.vocabularies import (
    load_vocabularies,
)
from keras_recurrent.pipelines.vocabulary import Vocabulary
from keras_recurrent.pipelines.workers import Workers
from keras_recurrent.version import __version__

# Up to so many training tokens are encoded once and kept in memory.
_CACHED_TOKENS = 2**23


def sizes_of(vocabularies: tuple[Vocabulary, Vocabulary]) -> list[Any]:
    """Return those of vocabularies, as `build_model` takes them."""
    source, target = vocabularies
    second, features = None, []
    if isinstance(source, PartedVocabulary):
        second = len(source.second)
    if isinstance(source, FactoredVocabulary):
        features = [len(vocabulary) for vocabulary in source.features]
    return [len(source), len(target), second, features]


def load_batches(
    recipe: Recipe,
    vocabularies: tuple[Vocabulary, Vocabulary],
    seed: int,
    pairs: dict[str, tf.data.Dataset],
    lengths: dict[str, np.ndarray],
    epoch: tf.Variable | None = None,
) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Return the batches for training and those for validation.

    Args:
        recipe: says how to make batches.
        vocabularies: of sources and of targets.
        seed: of the order of the pairs.
        pairs: by split, see `Splits`.
        lengths: of the pairs, from `within_limits`.
        epoch: see `training_batches`.
    """
    config = recipe.training
    static = config.jit_compile or config.strategy == "tpu"
    small = lengths["train"].sum(dtype=np.int64) <= _CACHED_TOKENS
    train = training_batches(
        pairs["train"],
        *vocabularies,
        config.batch_size,
        batch_unit=config.batch_unit,
        seed=seed,
        static_shapes=static,
        cache=bool(small) and config.data_service is None,
        service=config.data_service,
        unknown_copies=recipe.model.copied,
        diagonal=recipe.model.guided_attention > 0,
        epoch=epoch,
    )
    validation = training_batches(
        pairs["validation"],
        *vocabularies,
        config.batch_size,
        batch_unit=config.batch_unit,
        shuffle=False,
        static_shapes=static,
        unknown_copies=recipe.model.copied,
        diagonal=recipe.model.guided_attention > 0,
    )
    return train, validation.cache()


def data_fingerprint(recipe: Recipe) -> Fingerprint:
    """What tells whether a model would still be trained on the same."""
    return {
        "data": {
            split: fingerprint(recipe.data, split)
            for split in ("train", "validation")
        },
        "versions": {
            "keras-recurrent": __version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
        },
    }


def train(run: Run) -> bool:
    """Train until the recipe's epochs are done or patience is lost.

    After each epoch the metrics are written to the run folder, the model too
    if its validation loss is the best so far; after the last one that of
    `average_epochs`, if epochs are to be averaged. An interrupted run goes on
    from its last checkpoint, and ends with the weights of one that was never
    interrupted (bit by bit on a CPU, unless a service makes the batches); a
    finished one goes on if the recipe has more epochs. The vocabularies and the
    data are those it began with.

    Returns:
        Whether there was anything left to do.

    Raises:
        RunError: another recipe, other data or another process is at work in
            the folder, a file in it is damaged, or the loss is not a number.
    """
    workers = Workers(make_strategy(run.recipe.training))
    with workers.together():
        if not workers.is_chief:
            workers.chief_says(0)  # when it has made the vocabularies
            if run.is_finished():
                return False
            _fit(run, load_vocabularies(run), load_splits(run.recipe), workers)
            return True
        with run.locked():
            # Read before anything is written, as it may be damaged.
            begun = bool(run.history()) or run.has_begun()
            if begun:
                run.origin.check(run.recipe)
            else:
                run.origin.check_folder()
            splits = None
            if not begun:
                splits = load_splits(run.recipe)
                _keep_vocabularies(run, splits.pairs["train"])
            vocabularies = load_vocabularies(run)
            origin = data_fingerprint(run.recipe)
            origin["vocabularies"] = run.vocabulary_digests()
            run.origin.keep(run.recipe, origin, begun=begun)
            workers.chief_says(0)
            if run.is_finished():
                return False
            splits = splits or load_splits(run.recipe)
            _fit(run, vocabularies, splits, workers)
    return True


def _keep_vocabularies(run: Run, pairs: tf.data.Dataset) -> None:
    source, target = build_vocabularies(run.recipe, pairs)
    kept = [(source, run.source_vocabulary), (target, run.target_vocabulary)]
    if isinstance(source, PartedVocabulary):
        kept.append((source.second, run.second_vocabulary))
    if isinstance(source, FactoredVocabulary):
        kept += zip(source.features, run.feature_vocabularies, strict=True)
    for vocabulary, path in kept:
        with whole_file(path) as draft:
            vocabulary.save(draft)


def _fit(
    run: Run,
    vocabularies: tuple[Vocabulary, Vocabulary],
    splits: Splits,
    workers: Workers,
) -> None:
    config = run.recipe.training
    keras.utils.set_random_seed(config.seed)
    splits, lengths = within_limits(run.recipe, vocabularies, splits)
    # Its order is that of the epoch, so that a run may go on anywhere.
    number = tf.Variable(0, dtype=tf.int64)
    batches, validation = load_batches(
        run.recipe, vocabularies, config.seed, splits.pairs, lengths, number
    )
    steps = batches_in(batches, config)
    total = steps and steps * config.epochs
    if config.steps is not None:
        total = min(total or config.steps, config.steps)
    with workers.strategy.scope():
        model = build_model(run.recipe.model, *sizes_of(vocabularies))
        compile_model(model, config, total)
        # Checkpoints have what it keeps, too.
        model.optimizer.build(model.trainable_variables)
    pairs = splits.pairs["validation"]
    shown, decoding = [], []
    if workers.is_chief:
        shown = [
            keras.callbacks.TensorBoard(run.events, write_graph=False),
            Board(run, vocabularies, pairs),
        ]
        if config.best_by != "loss":
            decoding = [DecodeValidation(run.recipe, vocabularies, pairs)]
    validation = workers.batches(validation)
    while not workers.chief_says(is_finished(run.history(), config)):
        position = restore(run, model)
        workers.check_same(position.epochs, "Epochs done")
        workers.check_same(position.batches, "Batches done of the next epoch")
        rest, epochs = batches, config.epochs
        if position.batches:
            # Of the epoch that was interrupted; then come the others.
            rest = batches.skip(position.batches)
            epochs = position.epochs + 1
        throughput = Throughput()
        # A bar asks all workers at times that they do not know.
        display = TrainingDisplay(run, throughput, bar=workers.count == 1)
        with (
            warnings.catch_warnings(),
            display.progress,
            tensorflow_files(run.events),
        ):
            # Keras says so at the end of epochs whose length it did not know.
            warnings.filterwarnings("ignore", "Your input ran out of data")
            model.fit(
                workers.batches(rest),
                validation_data=validation,
                initial_epoch=position.epochs,
                epochs=epochs,
                shuffle=False,  # the batches are shuffled already
                verbose=0,  # the display tells
                callbacks=[
                    keras.callbacks.LambdaCallback(
                        on_epoch_begin=lambda epoch, _: number.assign(epoch)
                    ),
                    throughput,
                    ValidateAverages(),
                    *decoding,
                    *shown,
                    KeepProgress(run, splits.left_out, position, workers),
                    *([display] if workers.is_chief else []),
                ],
            )
    if config.average > 1:
        average_epochs(run, model, validation, workers.is_chief)
    if not workers.is_chief:
        return
    if not run.model.exists():
        raise RunError(
            f"{run.folder}: the validation loss is not a number, so no model "
            "was saved. Choose another folder with --run and a "
            f"training.learning_rate below {config.learning_rate}"
        )
    if splits.left_out:
        say(f"Left out of training: {splits.left_out:,} pairs, as told above")


def batches_in(batches: Any, config: TrainingConfig) -> int | None:
    """Return how many batches an epoch has.

    None if it is not known: they are only counted for a schedule that ends.
    """
    count = int(batches.cardinality())
    if count >= 0:
        return count
    if config.schedule not in ENDING or config.data_service is not None:
        return None
    return int(batches.reduce(np.int64(0), lambda n, _: n + 1))
