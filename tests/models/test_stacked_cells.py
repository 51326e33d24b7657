"""Cells of a stack start from the scale of what they read."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import RNN
from keras_recurrent.layers.cells import CELLS, get_cell
from keras_recurrent.models import Decoder, Encoder
from keras_recurrent.models.stacked_cells import level_arguments


def outputs(cell, level, inputs):
    keras.utils.set_random_seed(1)
    cell = get_cell(cell)(128, **level_arguments(cell, level))
    return RNN(cell, return_sequences=True)(inputs)


@pytest.mark.parametrize(
    "cell", [cell for cell in CELLS if level_arguments(cell, 1)]
)
def test_a_second_cell_sees_as_much_as_the_first(cell):
    x = np.random.default_rng(0).normal(size=(8, 20, 128)).astype("float32")
    first = np.std(outputs(cell, 0, x))
    # What comes from below is scaled as if it came from a cell of its kind.
    second = np.std(outputs(cell, 1, first * x))
    assert second == pytest.approx(first, rel=0.15)


@pytest.mark.parametrize("cell", ["lstm", "nas"])
def test_encoder_and_decoder_are_stacked_so(cell):
    encoder = Encoder(10, 64, 64, cell=cell, num_layers=3)
    decoder = Decoder(10, 64, 64, cell=cell, num_layers=3)
    memory, summary = encoder(tf.ones((1, 2), tf.int32))
    decoder.build((None, None), memory.shape, summary.shape)
    for cells in (
        [layer.cell for layer in encoder.forward_layers],
        [layer.cell for layer in encoder.backward_layers],
        decoder.attention_cell.cells,
    ):
        first, *others = (np.std(each.kernel) for each in cells)
        assert min(others) > 3 * first
