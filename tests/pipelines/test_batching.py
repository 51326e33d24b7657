"""Batches, decoded again, and each function that makes them by itself.

Tests `teacher_forcing.py` and `shuffling.py`.
"""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_recurrent.pipelines import batching
from keras_recurrent.pipelines.batching import training_batches
from keras_recurrent.pipelines.teacher_forcing import for_teacher_forcing
from keras_recurrent.pipelines.vocabulary import Vocabulary
from tests.oracles import tried

LETTERS = Vocabulary(list("abc"))  # 4, 5, 6
WORDS = Vocabulary(["x", "y"], "words")  # 4, 5


def dataset(pairs):
    sources, targets = zip(*pairs, strict=True)
    return tf.data.Dataset.from_tensor_slices(
        {"source": list(sources), "target": list(targets)}
    )


def random_pairs(count, seed=0):
    random = np.random.default_rng(seed)
    return [
        (
            "".join(random.choice(list("abc"), random.integers(0, 12))),
            " ".join(random.choice(["x", "y"], random.integers(0, 12))),
        )
        for _ in range(count)
    ]


def rows(batches):
    """Decode every row again, and check what teacher forcing asks for."""
    if isinstance(batches, tf.data.Dataset):
        batches = batches.as_numpy_iterator()
    for inputs, labels in batches:
        source, target = inputs["source"], inputs["target"]
        assert source.dtype == target.dtype == labels.dtype == np.int32
        assert target.shape == labels.shape
        lengths = np.count_nonzero(labels, axis=1)
        for length, fed, wanted in zip(lengths, target, labels, strict=True):
            if length == 0:  # a row of padding
                assert not fed.any()
                continue
            assert fed[0] == 2 and wanted[length - 1] == 3
            np.testing.assert_array_equal(fed[1:length], wanted[: length - 1])
            assert not fed[length:].any() and not wanted[length:].any()
        assert not source[lengths == 0].any()
        sources = LETTERS.decode(source[lengths > 0]).numpy()
        targets = WORDS.decode(labels[lengths > 0]).numpy()
        for pair in zip(sources, targets, strict=True):
            yield tuple(text.decode() for text in pair)


def test_one_batch_by_hand():
    pairs = dataset([("ab", "x y"), ("c", "y x y")])
    ((inputs, labels),) = training_batches(
        pairs, LETTERS, WORDS, 2, shuffle=False
    )
    np.testing.assert_array_equal(inputs["source"], [[4, 5], [6, 0]])
    np.testing.assert_array_equal(
        inputs["target"], [[2, 4, 5, 0], [2, 5, 4, 5]]
    )
    np.testing.assert_array_equal(labels, [[4, 5, 3, 0], [5, 4, 5, 3]])


@tried(few=4, many=8)
@given(
    st.integers(1, 60),
    st.integers(1, 9),
    st.booleans(),
    st.booleans(),
)
def test_every_pair_once_an_epoch(count, batch_size, shuffle, static_shapes):
    pairs = random_pairs(count)
    batches = training_batches(
        dataset(pairs),
        LETTERS,
        WORDS,
        batch_size,
        shuffle=shuffle,
        static_shapes=static_shapes,
    )
    for _ in range(2):
        assert Counter(rows(batches)) == Counter(pairs)
    assert (
        batches.cardinality() == len(list(batches)) == -(-count // batch_size)
    )


def test_more_pairs_than_a_pool():
    pairs = random_pairs(450)
    batches = training_batches(dataset(pairs), LETTERS, WORDS, 2)
    assert Counter(rows(batches)) == Counter(pairs)
    assert batches.cardinality() == 225


@pytest.mark.parametrize("unit", ["sentences", "tokens"])
def test_a_batch_has_similar_lengths(unit):
    """As sentences are, the longer of them in both languages."""
    draw = np.random.default_rng(0)
    lengths = draw.integers(5, 40, 1600)
    pairs = [
        ("a" * (n + more), "x " * n)
        for n, more in zip(lengths, draw.integers(-3, 4, 1600), strict=True)
    ]
    batches = training_batches(
        dataset(pairs),
        LETTERS,
        WORDS,
        16 if unit == "sentences" else 400,
        batch_unit=unit,
    )
    cells = tokens = 0
    for inputs, labels in batches.as_numpy_iterator():
        cells += inputs["source"].size + labels.size
        tokens += np.count_nonzero(inputs["source"]) + np.count_nonzero(labels)
    assert tokens / cells > 0.92  # at random it would be about 0.6


@tried(few=4, many=10)
@given(
    st.integers(1, 80),
    st.integers(1, 60),
    st.booleans(),
    st.booleans(),
)
def test_batches_of_tokens(count, size, shuffle, static_shapes):
    """Every pair once, and as many as fit."""
    pairs = random_pairs(count, seed=size)
    batches = training_batches(
        dataset(pairs),
        LETTERS,
        WORDS,
        size,
        batch_unit="tokens",
        shuffle=shuffle,
        static_shapes=static_shapes,
    )
    for _ in range(2):
        assert Counter(rows(batches)) == Counter(pairs)
    found = sorted(
        (np.count_nonzero(labels.any(axis=1)), *labels.shape, source.shape[1])
        for source, labels in (
            (inputs["source"], labels)
            for inputs, labels in batches.as_numpy_iterator()
        )
    )
    for pairs_in, height, target, source in found:
        width = max(source, target)
        assert height * width <= size or height == 1
        assert pairs_in <= height
        if static_shapes:
            assert width % 8 == 0 and height == max(size // width, 1)
    assert batches.cardinality() == tf.data.UNKNOWN_CARDINALITY

    # What a loop over the sorted pairs puts together.
    multiple = 8 if static_shapes else 1
    expected, batch = [], 0
    for width in sorted(
        -(-max(len(source), len(target.split()) + 1) // multiple) * multiple
        for source, target in pairs
    ):
        if batch and (batch + 1) * width > size:
            expected.append(batch)
            batch = 0
        batch += 1
    assert sorted(n for n, *_ in found) == sorted([*expected, batch])


def test_the_workers_of_a_service(service, tmp_path):
    """Every pair once, also of two files side by side, and none mixed up."""
    pairs = random_pairs(90)
    for column, side in enumerate(("source", "target")):
        lines = [f"{pair[column]}\n" for pair in pairs]
        (tmp_path / side).write_text("".join(lines))
    files = tf.data.Dataset.zip(
        {
            side: tf.data.TextLineDataset(str(tmp_path / side))
            for side in ("source", "target")
        }
    )
    batches = training_batches(files, LETTERS, WORDS, 4, service=service)
    assert batches.cardinality() == tf.data.UNKNOWN_CARDINALITY
    epochs = [list(batches.as_numpy_iterator()) for _ in range(2)]
    for epoch in epochs:
        assert Counter(rows(epoch)) == Counter(pairs)
    # Workers answer in any order: what tells that they have shuffled anew is
    # who is with whom.
    together = [{labels.tobytes() for _, labels in epoch} for epoch in epochs]
    assert together[0] != together[1]


def test_each_epoch_has_as_many_batches_of_tokens():
    """Else `fit` would leave out what is more than in the first one."""
    pairs = random_pairs(500)
    batches = training_batches(
        dataset(pairs), LETTERS, WORDS, 50, batch_unit="tokens"
    )
    epochs = [order(batches) for _ in range(4)]
    assert len({len(epoch) for epoch in epochs}) == 1
    assert epochs[0] != epochs[1]
    assert Counter(rows(batches)) == Counter(pairs)


def test_another_unit():
    with pytest.raises(ValueError, match="Received: batch_unit='bytes'"):
        training_batches(
            dataset([("a", "x")]), LETTERS, WORDS, 1, batch_unit="bytes"
        )


def test_one_long_pair_is_kept():
    pairs = [("a", "x")] * 5 + [("abc" * 1000, "x y " * 999 + "x y")]
    batches = training_batches(dataset(pairs), LETTERS, WORDS, 2)
    assert Counter(rows(batches)) == Counter(pairs)


def order(batches):
    return [labels.tolist() for _, labels in batches.as_numpy_iterator()]


def test_shuffling_follows_the_seed(seed):
    pairs = random_pairs(200)

    def make(**arguments):
        tf.random.set_seed(seed)
        return training_batches(dataset(pairs), LETTERS, WORDS, 4, **arguments)

    batches = make(seed=1)
    first, second = order(batches), order(batches)
    assert first != second  # each epoch anew
    again = make(seed=1)
    assert [order(again), order(again)] == [first, second]
    assert order(make(seed=2)) != first
    still = make(shuffle=False)
    assert order(still) == order(still)


def test_batches_come_in_no_order_of_length():
    batches = training_batches(dataset(random_pairs(400)), LETTERS, WORDS, 4)
    widths = [labels.shape[1] for _, labels in batches]
    assert widths != sorted(widths)


def test_static_shapes_are_few():
    batches = training_batches(
        dataset(random_pairs(201)), LETTERS, WORDS, 8, static_shapes=True
    )
    shapes = {
        (*inputs["source"].shape, *labels.shape) for inputs, labels in batches
    }
    assert shapes <= {(8, s, 8, t) for s in (8, 16) for t in (8, 16)}


def test_an_empty_source_has_one_step():
    ((inputs, _),) = training_batches(dataset([("", "x")]), LETTERS, WORDS, 1)
    np.testing.assert_array_equal(inputs["source"], [[0]])


def test_unknown_cardinality():
    pairs = dataset(random_pairs(10)).filter(lambda pair: True)
    batches = training_batches(pairs, LETTERS, WORDS, 4)
    assert len(list(batches)) == 3


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize("unit", ["sentences", "tokens"])
def test_an_iterator_can_be_saved(tmp_path, unit, cache):
    pairs = dataset(random_pairs(60))
    batches = training_batches(
        pairs, LETTERS, WORDS, 14, batch_unit=unit, cache=cache
    )
    iterator = iter(batches)
    next(iterator)
    path = tf.train.Checkpoint(it=iterator).write(str(tmp_path / "it"))
    expected = [labels.numpy().tolist() for _, labels in iterator]
    other = iter(batches)
    tf.train.Checkpoint(it=other).read(path)
    assert [labels.numpy().tolist() for _, labels in other] == expected


@pytest.mark.parametrize("unit", ["sentences", "tokens"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_cache_changes_nothing(unit, shuffle):
    pairs = dataset(random_pairs(700))
    one, other = (
        training_batches(
            pairs,
            LETTERS,
            WORDS,
            13,
            batch_unit=unit,
            shuffle=shuffle,
            seed=5,
            cache=cache,
        )
        for cache in (False, True)
    )
    for _ in range(2):  # the second epoch has another order
        for found, expected in zip(
            other.as_numpy_iterator(), one.as_numpy_iterator(), strict=True
        ):
            tf.nest.map_structure(
                np.testing.assert_array_equal, found, expected
            )
    if unit == "sentences":
        assert other.cardinality() == one.cardinality()


def test_a_cache_of_nothing():
    pairs = dataset([("a", "x")]).take(0)
    batches = training_batches(pairs, LETTERS, WORDS, 4, cache=True)
    assert list(batches) == []


def test_a_cache_is_not_for_a_service():
    with pytest.raises(ValueError, match="`cache` must be false"):
        training_batches(
            dataset([("a", "x")]), LETTERS, WORDS, 4, cache=True, service="x"
        )


@pytest.mark.parametrize("count", [0, 1, 2])
def test_batches_wait_on_the_device(count, monkeypatch):
    """The processor stands in for a GPU."""
    (device,) = tf.config.list_logical_devices("CPU")[:1]
    monkeypatch.setattr(
        tf.config, "list_logical_devices", lambda kind: [device] * count
    )
    pairs = dataset(random_pairs(40))
    batches = training_batches(pairs, LETTERS, WORDS, 14, shuffle=False)
    found = batching.prefetched_to_device(batches)
    assert (found is batches) == (count != 1)
    for one, other in zip(found, batches, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def test_wrong_batch_size():
    with pytest.raises(ValueError, match="Received: batch_size=0"):
        training_batches(dataset([("a", "x")]), LETTERS, WORDS, 0)


def ragged(*rows):
    return tf.ragged.constant(rows, tf.int32)


def test_a_pool_is_sorted_by_the_longer_side_and_then_by_target():
    pool = {
        "source": ["b", "abccc", "aaa", "aaaa"],
        "target": ["x x x", "x y", "y y", "x y x"],
    }
    ids = batching.encoded(LETTERS, WORDS, None, pool)
    source, target = batching.by_length(*ids)
    # The end of the target counts.
    assert [len(row) for row in target.to_list()] == [2, 3, 3, 2]
    assert [len(row) for row in source.to_list()] == [3, 1, 4, 5]


def test_a_pool_is_cut_with_the_rest_last():
    rows = ragged([4], [5, 5], [6])
    batches = list(batching.cut_to_batches(2, rows, rows))
    assert [source.to_list() for source, _ in batches] == [
        [[4], [5, 5]],
        [[6]],
    ]


def test_the_target_is_shifted_and_all_is_padded():
    inputs, labels = for_teacher_forcing(
        3, 4, [], ragged([7, 8, 9], [7]), ragged([5], [6, 6])
    )
    np.testing.assert_array_equal(
        inputs["source"], [[7, 8, 9, 0], [7, 0, 0, 0], [0, 0, 0, 0]]
    )
    start, end = Vocabulary.start_id, Vocabulary.end_id
    np.testing.assert_array_equal(
        inputs["target"], [[start, 5, 0, 0], [start, 6, 6, 0], [0, 0, 0, 0]]
    )
    np.testing.assert_array_equal(
        labels, [[5, end, 0, 0], [6, 6, end, 0], [0, 0, 0, 0]]
    )


def test_the_order_of_an_epoch_depends_on_its_number_alone():
    number = tf.Variable(0, dtype=tf.int64)
    pairs = random_pairs(300)

    def of_epoch(epoch, seed=0):
        batches = training_batches(
            dataset(pairs), LETTERS, WORDS, 4, seed=seed, epoch=number
        )
        assert batches.cardinality() == 75
        number.assign(epoch)
        return order(batches), order(batches)

    first, again = of_epoch(0)
    assert first == again == of_epoch(0)[0]
    second, _ = of_epoch(1)
    assert second != first != of_epoch(0, seed=1)[0]
    # Other pairs are together, and each is there once.
    assert sorted(map(str, second)) != sorted(map(str, first))
    batches = training_batches(dataset(pairs), LETTERS, WORDS, 4, epoch=number)
    assert Counter(rows(batches.as_numpy_iterator())) == Counter(pairs)
