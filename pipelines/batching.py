"""Batches for `fit`: text pairs in, padded ids out."""

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from keras_recurrent.pipelines.copied_tokens import CopiedTokens
from keras_recurrent.pipelines.diagonal import with_diagonal_alignments
from keras_recurrent.pipelines.shuffling import permuted, shuffled_by
from keras_recurrent.pipelines.teacher_forcing import (
    for_teacher_forcing,
    rounded,
    rows_in,
)
from keras_recurrent.pipelines.vocabulary import Vocabulary

# So many batches are filled at a time with examples sorted by length.
_POOL = 100
# And so many examples are sorted if batches have any number of them.
_POOL_BY_TOKENS = 2**13
# So many examples are encoded at a time if all are kept.
_CHUNK = 2**11
# So many batches of tokens are shuffled at a time.
_BATCHES_BY_TOKENS = 2**10
# Examples that are shuffled at a time, if the data has more.
_SHUFFLE = 2**18
# More epochs than this have the same order as those of the next seed.
_SEEDS = 2**20
# Static shapes have widths that are a multiple of this.
_WIDTH = 8


def training_batches(
    pairs: tf.data.Dataset,
    source_vocabulary: Vocabulary,
    target_vocabulary: Vocabulary,
    batch_size: int,
    *,
    batch_unit: str = "sentences",
    shuffle: bool = True,
    seed: int = 0,
    static_shapes: bool = False,
    cache: bool = False,
    service: str | None = None,
    unknown_copies: int | None = None,
    diagonal: bool = False,
    epoch: tf.Variable | None = None,
) -> tf.data.Dataset:
    """Turn pairs of texts into batches for teacher forcing.

    `("ab", "x y")` becomes source `[a, b]`, target `[START, x, y]` and labels
    `[x, y, END]`. Every example occurs once per epoch, however long. The
    examples of a batch have similar lengths: a pool of 100 batches is sorted
    before it is cut, and the batches are shuffled again.

    An iterator over the batches can be saved, by `tf.train.Checkpoint`, as far
    as one over the pairs can: what goes on from there are those that have not
    been seen.

    Args:
        pairs: a dataset of `{"source": string, "target": string}`.
        source_vocabulary: encodes the sources.
        target_vocabulary: encodes the targets.
        batch_size: how much a batch holds at most.
        batch_unit: of what: `"sentences"`, pairs, or `"tokens"`, positions of
            the longer side, padding and the end counted in. Batches of tokens
            have as many pairs as fit, those of short sentences many; a longer
            pair is a batch of its own.
        shuffle: shuffle anew each epoch: the pairs and then the batches; of
            batches of tokens only these. Otherwise the order is the same each
            epoch, though not that of `pairs`.
        seed: of the shuffling.
        static_shapes: make few different shapes, for XLA: widths are rounded
            up to multiples of 8, and batches that are not full get rows of
            padding.
        cache: encode all pairs before the first epoch, and keep their ids in
            memory, 4 bytes each. The batches are the same.
        service: the address of a `tf.data` service, whose workers make the
            batches, each of pairs of its own. Its dispatcher must have been
            told the addresses of its workers. The order then is another each
            time, whatever the seed: it depends on who is first.
        unknown_copies: for models that copy, how many tokens of a source that
            the vocabulary lacks have an id, see `CopiedTokens`; None for
            others.
        diagonal: whether to add alignments that attention is guided by, see
            `with_diagonal_alignments`.
        epoch: the number of the epoch, int64, read where an iterator begins:
            with it the order is that of this epoch, whatever was iterated over
            before; such an iterator cannot be saved. A service has its own way.

    Returns:
        A dataset of `({"source": (B, S), "target": (B, T)}, labels (B, T))`,
        int32, padded with 0; with `unknown_copies` there are "copies" (B, S),
        of a `PartedVocabulary` "source_2" (B, S'), of a `FactoredVocabulary`
        "features" (B, S, F),
        with `diagonal` "alignments" (B, T, S), too. How many there are is known
        if it is known of the pairs, the unit is sentences, and there is no
        service.

    Raises:
        ValueError: `batch_size` is not positive, the unit is another, or
            there are both a cache and a service.
    """
    if batch_size < 1:
        raise ValueError(
            f"`batch_size` must be positive. Received: batch_size={batch_size}"
        )
    if batch_unit not in ("sentences", "tokens"):
        raise ValueError(
            "`batch_unit` must be 'sentences' or 'tokens'. "
            f"Received: batch_unit={batch_unit!r}"
        )
    if cache and service is not None:
        raise ValueError("`cache` must be false where there is a `service`")
    by_tokens, count = batch_unit == "tokens", pairs.cardinality()
    names, copied = [*source_vocabulary.more], None
    if unknown_copies is not None:
        names.insert(0, "copies")
        copied = CopiedTokens(
            source_vocabulary, target_vocabulary, unknown_copies
        )
    encode: Any = partial(encoded, source_vocabulary, target_vocabulary, copied)
    elements: Any = pairs
    if cache:
        ids = all_encoded(pairs, encode)
        count = ids[0].nrows()
        elements = tf.data.Dataset.range(count)
        encode = partial(rows_of, ids)
    if service is not None:
        hint = tf.data.experimental.SHARD_HINT
        elements = elements.shard(hint, hint)
    multiple, full = _WIDTH if static_shapes else 1, None
    if static_shapes:
        full = partial(rows_in, batch_size) if by_tokens else batch_size
    if by_tokens:
        pool_size = _POOL_BY_TOKENS
        cut = partial(cut_to_tokens, batch_size, multiple)
    else:
        pool_size = _POOL * batch_size
        cut = partial(cut_to_batches, batch_size)

    def batches_of(shuffled: Callable[..., Any]) -> tf.data.Dataset:
        """Make the batches of an epoch, in the order that a function draws."""
        ordered = elements
        if shuffle and by_tokens:
            # Always the same: `fit` takes as many batches from each epoch as
            # there were in the first, so their number must not change.
            ordered = ordered.shuffle(
                _SHUFFLE, seed=seed, reshuffle_each_iteration=False
            )
        elif shuffle and service is None:
            ordered = shuffled(ordered, _SHUFFLE)
        elif shuffle:
            ordered = (
                ordered.batch(_SHUFFLE).map(partial(permuted, seed)).unbatch()
            )
        batches = (
            ordered.batch(pool_size)
            .map(encode)
            .map(by_length)
            .flat_map(cut)
            .map(partial(for_teacher_forcing, full, multiple, names))
        )
        if diagonal:
            batches = batches.map(with_diagonal_alignments)
        if service is not None:
            # Not `DYNAMIC`, which would cut the two files of a pair apart.
            policy = tf.data.experimental.service.ShardingPolicy.HINT
            batches = batches.apply(
                tf.data.experimental.service.distribute(policy, service)
            )
        if shuffle:
            pool = _BATCHES_BY_TOKENS if by_tokens else _POOL
            batches = shuffled(batches, pool)
        return batches

    if epoch is None or service is not None:
        batches = batches_of(lambda data, size: data.shuffle(size, seed))
    else:
        # What this holds is read anew by each iterator.
        batches = tf.data.Dataset.from_tensors(0).flat_map(
            lambda _: batches_of(
                partial(shuffled_by, seed=_SEEDS * seed + epoch)
            )
        )
    if count >= 0 and not by_tokens and service is None:
        count = -(-count // batch_size)
        batches = batches.apply(tf.data.experimental.assert_cardinality(count))
    # Without its tuner, which sleeps for doubling periods and makes the end
    # of an epoch wait until it wakes up: up to as long as the epoch took.
    options = tf.data.Options()
    options.autotune.enabled = False
    # The next pool is encoded while the batches of this one are trained on.
    return batches.prefetch(_POOL).with_options(options)


def prefetched_to_device(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Copy batches to the GPU before they are needed, if there is one.

    With several, `tf.distribute` does so. An iterator over the result cannot be
    saved.
    """
    gpus = tf.config.list_logical_devices("GPU")
    if len(gpus) != 1:
        return batches
    prefetch = tf.data.experimental.prefetch_to_device(gpus[0].name)
    return batches.apply(prefetch)


def encoded(
    source_vocabulary: Vocabulary,
    target_vocabulary: Vocabulary,
    copied: CopiedTokens | None,
    pool: dict[str, tf.Tensor],
) -> tuple[tf.RaggedTensor, ...]:
    """Return the ids (N, …) of N pairs: of sources, of targets, and more.

    That is what can be copied of the sources, if anything, and what they hold
    besides, see `Vocabulary.more`.
    """
    sources, targets = pool["source"], pool["target"]
    ids = (
        (source_vocabulary.encode(sources), target_vocabulary.encode(targets))
        if copied is None
        else tuple(copied.encode_pairs(sources, targets))
    )
    more = (encode(sources) for encode in source_vocabulary.more.values())
    return (*ids, *more)


def all_encoded(
    pairs: tf.data.Dataset, encode: Callable[..., Any]
) -> tuple[tf.RaggedTensor, ...]:
    """Return the ids of all pairs, (N, …) each."""
    nothing = dict.fromkeys(("source", "target"), tf.constant([], tf.string))
    # In parallel, and yet in order.
    chunks = pairs.batch(_CHUNK).map(encode, tf.data.AUTOTUNE)
    return tuple(
        tf.concat(side, axis=0)
        for side in zip(encode(nothing), *chunks, strict=True)
    )


def rows_of(
    ids: tuple[tf.RaggedTensor, ...], rows: tf.Tensor
) -> tuple[tf.RaggedTensor, ...]:
    """Return some rows (N,) of ids, (N, …) each."""
    return tuple(tf.gather(side, rows) for side in ids)


def by_length(*pool: tf.RaggedTensor) -> tuple[tf.RaggedTensor, ...]:
    """Sort N rows, (N, …) each, of sources, targets, and perhaps more.

    By the length of the longer side, then by that of the target: with batches
    of 64, 4 % of all positions are padding on CMUdict, and 6 % on Multi30k.
    """
    key = lengths(*pool) * 2**32 + pool[1].row_lengths()  # (N,)
    return rows_of(pool, tf.argsort(key, stable=True))


def cut_to_batches(batch_size: int, *pool: tf.RaggedTensor) -> tf.data.Dataset:
    """Cut N rows to batches (B, …), the last one with fewer rows."""
    return _cut(tf.range(0, pool[0].nrows(), batch_size), pool)


def cut_to_tokens(
    batch_size: int, multiple: int, *pool: tf.RaggedTensor
) -> tf.data.Dataset:
    """Cut N rows, the shortest first, to batches of so many tokens at most.

    Args:
        batch_size: How many positions of the longer side a batch has.
        multiple: What the number of columns is a multiple of.
        *pool: As in `by_length`.
    """
    widths = rounded(lengths(*pool), multiple)  # (N,), ascending
    count = tf.size(widths, tf.int64)

    def add_batch(starts: Any, start: Any) -> tuple[Any, Any]:
        rest = widths[start:]
        # Padded to the last of them, so many positions have the first n rows.
        sizes = rest * tf.range(1, tf.size(rest, tf.int64) + 1)
        taken = tf.reduce_sum(tf.cast(sizes <= batch_size, tf.int64))
        return (
            tf.concat([starts, [start]], axis=0),
            start + tf.maximum(taken, 1),
        )

    starts, _ = tf.while_loop(
        lambda _, start: start < count,
        add_batch,
        (tf.zeros([0], tf.int64), tf.constant(0, tf.int64)),
        shape_invariants=(tf.TensorShape([None]), tf.TensorShape([])),
    )
    return _cut(starts, pool)


def _cut(starts: tf.Tensor, pool: tuple[tf.RaggedTensor, ...]) -> Any:
    ends = tf.concat([starts[1:], [pool[0].nrows()]], axis=0)
    return tf.data.Dataset.from_tensor_slices((starts, ends)).map(
        lambda start, end: tuple(ids[start:end] for ids in pool)
    )


def lengths(
    source: tf.RaggedTensor, target: tf.RaggedTensor, *_: tf.RaggedTensor
) -> tf.Tensor:
    """Return the steps (N,) of the longer side, the end of the target too."""
    return tf.maximum(source.row_lengths(), target.row_lengths() + 1)
