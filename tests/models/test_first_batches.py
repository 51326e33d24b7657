"""Looking at the data without using it up."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models.first_batches import first_batches

BATCHES = [(np.full((2, 3), i), np.full((2, 1), i)) for i in range(70)]


class Indexed(keras.utils.PyDataset):
    def __len__(self):
        return len(BATCHES)

    def __getitem__(self, i):
        return BATCHES[i]


def dataset():
    x, y = (np.concatenate(parts) for parts in zip(*BATCHES, strict=True))
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(2)


@pytest.mark.parametrize(
    "data",
    [dataset, Indexed, lambda: (batch for batch in BATCHES), lambda: BATCHES],
    ids=["dataset", "indexed", "generator", "list"],
)
def test_nothing_is_used_up(data):
    seen, again = first_batches(data(), None, 64)
    assert [int(np.max(y)) for _, y in seen] == list(range(64))
    if isinstance(again, Indexed):
        again = [again[i] for i in range(70)]
    assert [int(np.max(batch[0])) for batch in again] == list(range(70))


def test_arrays_are_one_batch():
    x, y = BATCHES[3]
    assert first_batches(x, y, 64) == ([(x, y)], x)


def test_without_labels_there_is_nothing_to_see():
    seen, _ = first_batches([(np.zeros(3),)], None, 64)
    assert seen == []
