"""Batches for `fit`: text pairs in, padded ids out."""

from functools import partial

import tensorflow as tf

from keras_recurrent.pipelines.vocabulary import (
    END_ID,
    START_ID,
    Vocabulary,
)

# So many batches are filled at a time with examples sorted by length.
_POOL = 100
# Examples that are shuffled at a time, if the data has more.
_SHUFFLE = 2**18
# Static shapes have widths that are a multiple of this.
_WIDTH = 8


def training_batches(
    pairs: tf.data.Dataset,
    source_vocabulary: Vocabulary,
    target_vocabulary: Vocabulary,
    batch_size: int,
    *,
    shuffle: bool = True,
    seed: int = 0,
    static_shapes: bool = False,
) -> tf.data.Dataset:
    """Turn pairs of texts into batches for teacher forcing.

    `("ab", "x y")` becomes source `[a, b]`, target `[START, x, y]` and labels
    `[x, y, END]`. Every example occurs once per epoch, however long. The
    examples of a batch have similar lengths: a pool of 100 batches is sorted
    before it is cut, and the batches are shuffled again.

    Args:
        pairs: a dataset of `{"source": string, "target": string}`.
        source_vocabulary: encodes the sources.
        target_vocabulary: encodes the targets.
        batch_size: examples per batch; the last batch may have fewer.
        shuffle: shuffle anew each epoch. Otherwise the order is the same
            each epoch, though not that of `pairs`.
        seed: of the shuffling.
        static_shapes: make few different shapes, for XLA: widths are rounded
            up to multiples of 8 and the last batch is filled with rows of
            padding.

    Returns:
        A dataset of `({"source": (B, S), "target": (B, T)}, labels (B, T))`,
        int32, padded with 0.

    Raises:
        ValueError: `batch_size` is not positive.
    """
    if batch_size < 1:
        raise ValueError(
            f"`batch_size` must be positive. Received: batch_size={batch_size}"
        )
    count = pairs.cardinality()
    if shuffle:
        pairs = pairs.shuffle(_SHUFFLE, seed=seed)

    rows = batch_size if static_shapes else -1
    multiple = _WIDTH if static_shapes else 1
    batches = (
        pairs.batch(_POOL * batch_size)
        .map(partial(encoded, source_vocabulary, target_vocabulary))
        .flat_map(partial(cut_to_batches, batch_size))
        .map(partial(for_teacher_forcing, rows, multiple))
    )
    if shuffle:
        batches = batches.shuffle(_POOL, seed=seed)
    if count >= 0:
        count = -(-count // batch_size)
        batches = batches.apply(tf.data.experimental.assert_cardinality(count))
    # Without its tuner, which sleeps for doubling periods and makes the end
    # of an epoch wait until it wakes up: up to as long as the epoch took.
    options = tf.data.Options()
    options.autotune.enabled = False
    # The next pool is encoded while the batches of this one are trained on.
    return batches.prefetch(_POOL).with_options(options)


def encoded(
    source_vocabulary: Vocabulary,
    target_vocabulary: Vocabulary,
    pool: dict[str, tf.Tensor],
) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """Return the ids (N, …) of N pairs, sorted by length.

    By target length, then by source length: on CMUdict 6 % of the source and
    1 % of the target is padding.
    """
    source = source_vocabulary.encode(pool["source"])
    target = target_vocabulary.encode(pool["target"])
    key = target.row_lengths() * 2**32 + source.row_lengths()
    order = tf.argsort(key, stable=True)
    return tf.gather(source, order), tf.gather(target, order)


def cut_to_batches(batch_size: int, *pool: tf.RaggedTensor) -> tf.data.Dataset:
    """Cut N rows to batches (B, …), the last one with fewer rows."""
    starts = tf.range(0, pool[0].nrows(), batch_size)
    return tf.data.Dataset.from_tensor_slices(starts).map(
        lambda start: tuple(ids[start : start + batch_size] for ids in pool)
    )


def for_teacher_forcing(
    rows: int, multiple: int, source: tf.RaggedTensor, target: tf.RaggedTensor
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Shift the target right, and pad.

    Args:
        rows: How many there are to be, -1: as many as there are.
        multiple: What the number of columns is a multiple of.
        source: (B, …).
        target: (B, …).

    Returns:
        `{"source": (B, S), "target": (B, T)}` and the labels (B, T).
    """
    column = tf.ones([target.nrows(), 1], tf.int32)  # (B, 1)
    shifted = tf.concat([column * START_ID, target], axis=1)  # (B, 1 + …)
    labels = tf.concat([target, column * END_ID], axis=1)  # (B, … + 1)
    inputs = {
        "source": _pad(source, rows, multiple),
        "target": _pad(shifted, rows, multiple),
    }
    return inputs, _pad(labels, rows, multiple)


def _pad(ids: tf.RaggedTensor, rows: int, multiple: int) -> tf.Tensor:
    """Pad (B, …) with zeros to (`rows` or B, columns)."""
    # At least one column: a recurrent layer cannot run for no steps at all.
    width = tf.maximum(ids.bounding_shape(axis=1), 1)
    width = -(-width // multiple) * multiple
    rows = tf.constant(rows, tf.int64)
    return ids.to_tensor(shape=tf.stack([rows, width]))
