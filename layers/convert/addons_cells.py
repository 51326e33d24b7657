"""Weights of the cells of tensorflow-addons."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_recurrent.layers.cells.esn_cell import ESNCell
from keras_recurrent.layers.cells.gru_cell import GRUCell
from keras_recurrent.layers.cells.layer_norm_lstm_cell import LayerNormLSTMCell
from keras_recurrent.layers.cells.layer_norm_simple_rnn_cell import (
    LayerNormSimpleRNNCell,
)
from keras_recurrent.layers.cells.lstm_cell import LSTMCell
from keras_recurrent.layers.cells.nas_cell import NASCell
from keras_recurrent.layers.cells.peephole_lstm_cell import PeepholeLSTMCell
from keras_recurrent.layers.cells.recurrent_cell import RecurrentCell
from keras_recurrent.layers.cells.simple_rnn_cell import SimpleRNNCell

# The weights in the order of `get_weights()` there.
_OF_KERAS = ["kernel", "recurrent_kernel", "bias"]
_NAMES: dict[type[RecurrentCell], list[str]] = {
    GRUCell: _OF_KERAS,
    LSTMCell: _OF_KERAS,
    SimpleRNNCell: _OF_KERAS,
    ESNCell: ["recurrent_kernel", "kernel", "bias"],
    LayerNormLSTMCell: [
        "kernel",
        "recurrent_kernel",
        "bias",
        "kernel_norm_gamma",
        "kernel_norm_beta",
        "recurrent_norm_gamma",
        "recurrent_norm_beta",
        "state_norm_gamma",
        "state_norm_beta",
    ],
    LayerNormSimpleRNNCell: ["kernel", "recurrent_kernel", "bias", "gamma"],
    NASCell: ["recurrent_kernel", "kernel", "bias", "projection_weights"],
    PeepholeLSTMCell: [
        "kernel",
        "recurrent_kernel",
        "bias",
        "input_gate_peephole_weights",
        "forget_gate_peephole_weights",
        "output_gate_peephole_weights",
    ],
}


def load_addons_weights(
    cell: RecurrentCell, weights: Mapping[str, Any] | Sequence[Any]
) -> None:
    """Give a cell the weights of its like in tensorflow-addons.

    Make the cell with the arguments that the other one was made with: they
    have the same names. All `tfa.rnn` cells have their like here, and so have
    Keras's, which are often used with them.

    Args:
        cell: An `ESNCell`, `LayerNormLSTMCell`, `LayerNormSimpleRNNCell`,
            `NASCell` or `PeepholeLSTMCell`, or a `GRUCell`, `LSTMCell` or
            `SimpleRNNCell`; it is built if it is not yet.
        weights: The arrays in the order of `get_weights()` there; or names to
            arrays as of `.weights` there, such as
            "rnn/layer_norm_lstm_cell/kernel_norm/gamma:0" or just "kernel".

    Raises:
        ValueError: weights are missing, not expected, or of a wrong shape, or
            tensorflow-addons has no such cell.

    Example:

    >>> cell = NASCell(2)
    >>> load_addons_weights(cell, [np.ones((2, 16)), np.ones((3, 16))])
    >>> [weight.name for weight in cell.weights]
    ['kernel', 'recurrent_kernel']
    """
    names = _names(cell)
    if not isinstance(weights, Mapping):
        if len(weights) != len(names):
            raise ValueError(
                f"`weights` must hold {len(names)} arrays: {', '.join(names)}. "
                f"Received: {len(weights)} arrays"
            )
        weights = dict(zip(names, weights, strict=True))
    arrays = {
        _own_name(name, names): np.asarray(array)
        for name, array in weights.items()
    }
    if arrays.keys() != set(names):
        raise ValueError(
            f"`weights` must hold {', '.join(names)}. Missing: "
            f"{sorted(set(names) - arrays.keys())}. Not expected: "
            f"{sorted(arrays.keys() - set(names))}"
        )
    if arrays["kernel"].ndim != 2:
        raise ValueError(
            "`kernel` must be a matrix. Received: an array of shape "
            f"{arrays['kernel'].shape}"
        )
    if not cell.built:
        cell.build((None, len(arrays["kernel"])))
    for weight in cell.weights:
        if arrays[weight.name].shape != weight.shape:
            raise ValueError(
                f"`{weight.name}` must have shape {tuple(weight.shape)}. "
                f"Received: {arrays[weight.name].shape}"
            )
    # All shapes first, so that an error leaves the cell as it was.
    for weight in cell.weights:
        weight.assign(arrays[weight.name])


def _names(cell: RecurrentCell) -> list[str]:
    if type(cell) not in _NAMES:
        raise ValueError(
            f"`cell` must be one of {[c.__name__ for c in _NAMES]}. "
            f"Received: {cell!r}"
        )
    names = list(_NAMES[type(cell)])
    if not cell.use_bias:
        names.remove("bias")
    if isinstance(cell, NASCell) and not cell.projection:
        names.remove("projection_weights")
    return names


def _own_name(name: str, names: list[str]) -> str:
    """Leave out the layers; join the parts of a normalization's name."""
    parts = name.partition(":")[0].split("/")
    two_parts = "_".join(parts[-2:])
    return two_parts if two_parts in names else parts[-1]
