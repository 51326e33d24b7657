"""Tests `copied_tokens.py`: batches, prediction and export of copying."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.pipelines.batching import training_batches
from keras_recurrent.pipelines.copied_tokens import CopiedTokens
from keras_recurrent.pipelines.vocabulary import Vocabulary

SOURCE = Vocabulary(["from", "to", "Ulm"], "words")
TARGET = Vocabulary(["von", "nach", "Ulm"], "words")
# Ids behind the vocabulary of 7.
A, B = 7, 8


def encode(pairs, more=2):
    copied = CopiedTokens(SOURCE, TARGET, more)
    found = copied.encode_pairs(*map(tf.constant, zip(*pairs, strict=True)))
    return [side.to_list() for side in found]


def test_unknown_words_are_numbered_in_each_sentence():
    source, target, copies = encode(
        [
            ("from Bonn to Ulm", "von Bonn nach Ulm"),
            ("", "Bonn"),
            ("to Kiel from Bonn Kiel Aue", "nach Kiel von Bonn Aue Jena"),
        ]
    )
    assert source == [[4, 1, 5, 6], [], [5, 1, 4, 1, 1, 1]]
    # "from" and "to" are no words of the target, so they can be copied, too.
    assert copies == [[A, B, 1, 6], [], [A, B, 1, 1, B, 1]]
    assert target == [[4, B, 5, 6], [1], [5, B, 4, 1, 1, 1]]


def test_against_a_dictionary():
    rng = np.random.default_rng(0)
    words = ["von", "nach", *"abcdefgh"]
    pairs = [
        tuple(" ".join(rng.choice(words, rng.integers(0, 9))) for _ in "st")
        for _ in range(200)
    ]
    _, target, copies = encode(pairs, more=3)
    for (read, written), labels, there in zip(
        pairs, target, copies, strict=True
    ):
        numbers = {"von": 4, "nach": 5}
        for word in read.split():
            size = len([n for n in numbers.values() if n >= A])
            if word not in numbers and size < 3:
                numbers[word] = A + size
        assert there == [numbers.get(word, 1) for word in read.split()]
        assert labels == [numbers.get(word, 1) for word in written.split()]


def test_what_is_written_is_the_word_of_the_source():
    copied = CopiedTokens(SOURCE, TARGET, 2)
    sources = tf.constant(["from Bonn to Kiel", ""])
    _, copies = copied.encode_sources(sources)
    ids = tf.constant([[[4, B, A, 3]], [[4, 3, 0, 0]]])
    tokens = TARGET.decode_tokens(ids)
    found = copied.write(tokens, ids, sources, copies.to_tensor())
    assert found.numpy().tolist() == [
        [[b"von", b"Bonn", b"from", b""]],
        [[b"von", b"", b"", b""]],
    ]


def test_subwords_of_both_sides_are_the_same():
    texts = ["banana bandana", "ananas banana"]
    pieces = Vocabulary.build(texts, "subwords", max_size=14)
    found = CopiedTokens(pieces, pieces, 0).encode_pairs(texts, texts)
    expected = pieces.encode(texts).to_list()
    assert [side.to_list() for side in found] == [expected] * 3


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize("static_shapes", [False, True])
def test_batches(cache, static_shapes):
    pairs = [("from Bonn", "von Bonn"), ("to to Ulm", "nach"), ("Ulm", "Ulm")]
    sources, targets = map(list, zip(*pairs, strict=True))
    data = tf.data.Dataset.from_tensor_slices(
        {"source": sources, "target": targets}
    )
    batches = training_batches(
        data,
        SOURCE,
        TARGET,
        2,
        shuffle=False,
        cache=cache,
        static_shapes=static_shapes,
        unknown_copies=2,
    )
    first, second = batches
    inputs, labels = first
    assert inputs["copies"].shape == inputs["source"].shape
    kept = inputs["copies"][:, :2].numpy().tolist()
    assert kept == [[6, 0], [A, A]]
    assert labels[:, :2].numpy().tolist() == [[6, 3], [5, 3]]
    inputs, labels = second
    assert inputs["copies"][0, :2].numpy().tolist() == [A, B]
    assert inputs["target"][0, :3].numpy().tolist() == [2, 4, B]
    assert labels[0, :3].numpy().tolist() == [4, B, 3]
