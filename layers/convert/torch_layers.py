"""Layers from and to `torch.nn.LSTM`, `torch.nn.GRU` and `torch.nn.RNN`."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_recurrent.layers.cells.gru_cell import GRUCell
from keras_recurrent.layers.cells.lstm_cell import LSTMCell
from keras_recurrent.layers.cells.simple_rnn_cell import SimpleRNNCell
from keras_recurrent.layers.convert.torch_module import read_module
from keras_recurrent.layers.gru import GRU
from keras_recurrent.layers.lstm import LSTM
from keras_recurrent.layers.rnn import RNN
from keras_recurrent.layers.simple_rnn import SimpleRNN

# By the number of gates.
_LAYERS = {1: SimpleRNN, 3: GRU, 4: LSTM}
# Gates in our order, by their place in torch's: z, r, h here are r, z, n there.
# (In both, z = 1 keeps the past.)
_ORDERS = {SimpleRNNCell: [0], GRUCell: [1, 0, 2], LSTMCell: [0, 1, 2, 3]}


def from_torch(
    state_dict: Mapping[str, Any], prefix: str = "", **options: Any
) -> list[Any]:
    """Return layers with the weights of a recurrent module of torch.

    Kind, sizes, layers and directions are read off the names and shapes of the
    weights. `keras.Sequential(layers)` does what the module does with
    `batch_first=True`. torch itself is not needed.

    Args:
        state_dict: Names to arrays, as from `state_dict()` of a
            `torch.nn.LSTM`, `GRU` or `RNN`, or of a module that has one
            inside; anything that NumPy takes.
        prefix: What the names begin with, such as "encoder.rnn.".
        **options: Arguments of the layers. `return_sequences` is True unless
            given. A `torch.nn.RNN` with `nonlinearity="relu"` needs
            `activation="relu"`: its weights do not tell.

    Returns:
        A list of `LSTM`, `GRU` or `SimpleRNN` layers, each in a
        `keras.layers.Bidirectional` if there are two directions.

    Raises:
        ValueError: weights are missing, not expected, or of a wrong shape.

    Example:

    >>> import numpy as np
    >>> [layer] = from_torch(
    ...     {
    ...         "weight_ih_l0": np.zeros((12, 3)),
    ...         "weight_hh_l0": np.zeros((12, 4)),
    ...     }
    ... )
    >>> type(layer).__name__, layer.units
    ('GRU', 4)
    """
    weights = {
        name.removeprefix(prefix): np.asarray(array)
        for name, array in state_dict.items()
        if name.startswith(prefix)
    }
    if "weight_ih_l0" not in weights:
        prefixes = [
            name.removesuffix("weight_ih_l0")
            for name in state_dict
            if name.endswith("weight_ih_l0")
        ]
        raise ValueError(
            f"`prefix` must be one of {prefixes}. Received: prefix={prefix!r}"
        )
    module = read_module(weights)
    projection = {}
    if module.projection:
        projection["projection"] = module.projection
    layers = []
    for number, input_size in enumerate(module.input_sizes):
        layer = _LAYERS[module.gates](
            module.units,
            use_bias=module.use_bias,
            **{"return_sequences": True} | projection | options,
        )
        if len(module.directions) == 2:
            layer = keras.layers.Bidirectional(layer)
        layer.build((None, None, input_size))
        for direction, rnn in _one_way_layers(layer).items():
            _assign(rnn.cell, weights, f"l{number}{direction}")
        layers.append(layer)
    return layers


def to_torch(layers: Sequence[Any], prefix: str = "") -> dict[str, Any]:
    """Return the weights of layers as torch names and arranges them.

    The inverse of `from_torch`. Where torch has two biases and the layer one,
    the second is zero.

    Args:
        layers: `LSTM`, `GRU` or `SimpleRNN` layers that follow each other, all
            of one kind and size, each plain or each in a
            `keras.layers.Bidirectional`; built.
        prefix: What the names shall begin with.

    Returns:
        Names to NumPy arrays. `load_state_dict` of a module of the same sizes
        takes `{n: torch.from_numpy(w) for n, w in to_torch(layers).items()}`.

    Raises:
        ValueError: no module of torch computes the same.

    Example:

    >>> layer = SimpleRNN(4)
    >>> layer.build((None, None, 3))
    >>> list(to_torch([layer]))
    ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0']
    """
    weights: dict[str, Any] = {}
    for number, layer in enumerate(layers):
        for direction, rnn in _one_way_layers(layer).items():
            weights |= _weights_of(rnn.cell, f"l{number}{direction}")
    # Layers may fit one by one and yet not together.
    read_module(weights)
    return {prefix + name: array for name, array in weights.items()}


def _one_way_layers(layer: Any) -> dict[str, Any]:
    """The layers of the two directions, or the one, by torch's endings."""
    layers = {"": layer}
    if isinstance(layer, keras.layers.Bidirectional):
        layers = {"": layer.forward_layer, "_reverse": layer.backward_layer}
        if layer.merge_mode != "concat":
            raise ValueError(
                "torch joins directions as `merge_mode='concat'` does. "
                f"Received: merge_mode={layer.merge_mode!r}"
            )
    for direction, rnn in layers.items():
        if not isinstance(rnn, RNN) or not rnn.built:
            raise ValueError(
                "Expected `LSTM`, `GRU` or `SimpleRNN` layers of "
                f"`keras_recurrent`, built. Received: {rnn!r}"
            )
        if rnn.go_backwards != (direction == "_reverse"):
            raise ValueError(
                "torch goes backwards in the second of two directions only. "
                f"Received: go_backwards={rnn.go_backwards} in {rnn!r}"
            )
    return layers


def _assign(cell: Any, weights: Mapping[str, Any], end: str) -> None:
    order = _ORDERS[type(cell)]
    cell.kernel.assign(_reorder(weights[f"weight_ih_{end}"].T, order))
    cell.recurrent_kernel.assign(_reorder(weights[f"weight_hh_{end}"].T, order))
    if cell.use_bias:
        biases = weights[f"bias_ih_{end}"], weights[f"bias_hh_{end}"]
        # The reset gate of a GRU multiplies a part of the second one.
        bias = np.stack(biases) if isinstance(cell, GRUCell) else sum(biases)
        cell.bias.assign(_reorder(bias, order))
    if f"weight_hr_{end}" in weights:
        cell.projection_kernel.assign(weights[f"weight_hr_{end}"].T)


def _weights_of(cell: Any, end: str) -> dict[str, Any]:
    _check_options(cell)
    # The order of a GRU is its own inverse.
    order = _ORDERS[type(cell)]
    weights = {
        f"weight_ih_{end}": _reorder(cell.kernel.numpy(), order).T.copy(),
        f"weight_hh_{end}": _reorder(cell.recurrent_kernel.numpy(), order).T,
    }
    if cell.use_bias:
        bias = _reorder(cell.bias.numpy(), order)
        if not isinstance(cell, GRUCell):
            bias = np.stack([bias, np.zeros_like(bias)])
        weights |= {f"bias_ih_{end}": bias[0], f"bias_hh_{end}": bias[1]}
    if isinstance(cell, LSTMCell) and cell.projection:
        weights[f"weight_hr_{end}"] = cell.projection_kernel.numpy().T
    return {name: np.ascontiguousarray(w) for name, w in weights.items()}


def _check_options(cell: Any) -> None:
    if type(cell) not in _ORDERS:
        raise ValueError(
            "torch has modules for `LSTMCell`, `GRUCell` and `SimpleRNNCell`. "
            f"Received: {cell!r}"
        )
    plain = type(cell)(cell.units).get_config()
    for name, value in cell.get_config().items():
        if name in _FREE or name.endswith(_FREE_ENDINGS):
            continue
        allowed = [plain[name]]
        if name == "activation" and isinstance(cell, SimpleRNNCell):
            allowed.append("relu")
        if value not in allowed:
            raise ValueError(
                f"In torch, `{name}` of {type(cell).__name__} can only be "
                f"{' or '.join(map(repr, allowed))}. Received: {name}={value!r}"
            )


# What makes no difference to the outputs of a cell with given weights.
_FREE = (
    "name",
    "trainable",
    "dtype",
    "units",
    "use_bias",
    "unit_forget_bias",
    "forget_bias",
    "projection",
    "dropout",
    "recurrent_dropout",
    "seed",
)
_FREE_ENDINGS = ("_initializer", "_regularizer", "_constraint")


def _reorder(array: Any, order: list[int]) -> Any:
    """Reorder the gates, which are blocks of the last axis."""
    blocks = array.reshape(*array.shape[:-1], len(order), -1)
    return blocks[..., order, :].reshape(array.shape)
