"""Keras's recurrent layers as ours, and back."""

import json
import tempfile
import warnings
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import keras

from keras_recurrent.layers.cells.gru_cell import GRUCell
from keras_recurrent.layers.cells.lstm_cell import LSTMCell
from keras_recurrent.layers.cells.simple_rnn_cell import SimpleRNNCell
from keras_recurrent.layers.gru import GRU
from keras_recurrent.layers.lstm import LSTM
from keras_recurrent.layers.rnn import RNN
from keras_recurrent.layers.simple_rnn import SimpleRNN

_OURS = (GRU, GRUCell, LSTM, LSTMCell, SimpleRNN, SimpleRNNCell, RNN)
_THEIRS = tuple(getattr(keras.layers, ours.__name__) for ours in _OURS)


def from_keras(layer: Any) -> Any:
    """Return a copy in which all recurrent layers of Keras are ours.

    Outputs are the same, up to rounding. All else is copied as it is: names,
    weights, other layers, vocabularies, how the model is compiled and what its
    optimizer remembers.

    Args:
        layer: A model, a layer (also within `keras.layers.Bidirectional` and
            the like) or a cell: anything that `keras.saving` saves and loads.

    Raises:
        ValueError: a layer has an option that ours does not have, or a model
            makes recurrent layers in its own code.

    Example:

    >>> model = keras.Sequential([keras.Input((None, 3)), keras.layers.GRU(4)])
    >>> type(from_keras(model).layers[0])
    <class 'keras_recurrent.layers.gru.GRU'>
    """
    return _copy(layer, _THEIRS, _OURS)


def to_keras(layer: Any) -> Any:
    """Return a copy in which our recurrent layers are Keras's.

    The inverse of `from_keras`. Cells that Keras does not have stay ours, in a
    `keras.layers.RNN`.

    Args:
        layer: As in `from_keras`.

    Raises:
        ValueError: a layer has an option that Keras's does not have, or a
            model makes recurrent layers in its own code.

    Example:

    >>> type(to_keras(GRU(4))) is keras.layers.GRU
    True
    """
    return _copy(layer, _OURS, _THEIRS)


def _copy(
    layer: Any, sources: tuple[Any, ...], targets: tuple[Any, ...]
) -> Any:
    examples = [
        (_serialized(source), _serialized(target))
        for source, target in zip(sources, targets, strict=True)
    ]
    # A saved model holds all there is to copy, and where the weights lie in it
    # is the same for both; only the classes it names have to change.
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # Nothing is lost with a layer or an optimizer that has no weights yet.
        for warning in ("has not yet been built", "Skipping .* for optimizer"):
            warnings.filterwarnings("ignore", f".*{warning}")
        saved, swapped = Path(folder, "saved.keras"), Path(folder, "new.keras")
        keras.saving.save_model(layer, saved)
        with ZipFile(saved) as old, ZipFile(swapped, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name == "config.json":
                    config = _swap(json.loads(content), examples)
                    content = json.dumps(config).encode()
                new.writestr(name, content)
        # Code in it, of a `Lambda` for instance, comes from this process.
        copy = keras.saving.load_model(swapped, safe_mode=False)
    left = [
        inner.path for inner in copy._flatten_layers() if type(inner) in sources
    ]
    if left:
        raise ValueError(
            "The configuration of a model must hold its recurrent layers. "
            "Received: a model that makes them in its own code (change the "
            f"class there, then copy the weights): {', '.join(left)}"
        )
    return copy


def _serialized(layer_class: Any) -> dict[str, Any]:
    """How a layer of that class with no options is written in a model."""
    is_rnn = layer_class.__name__ == "RNN"
    layer = layer_class(LSTMCell(1) if is_rnn else 1)
    return keras.saving.serialize_keras_object(layer)


def _swap(node: Any, examples: list[tuple[Any, Any]]) -> Any:
    """Replace classes at any depth of a configuration."""
    if isinstance(node, list):
        return [_swap(value, examples) for value in node]
    if not isinstance(node, dict):
        return node
    node = {key: _swap(value, examples) for key, value in node.items()}
    for source, target in examples:
        if all(node.get(key) == source[key] for key in _CLASS):
            return (
                node
                | {key: target[key] for key in _CLASS}
                | {"config": _arguments(node["config"], source, target)}
            )
    return node


_CLASS = ("module", "class_name", "registered_name")


def _arguments(
    config: dict[str, Any], source: dict[str, Any], target: dict[str, Any]
) -> dict[str, Any]:
    """Leave out options that the other class does not have, nor needs."""
    # Every layer has it, but writes it down only where it is set.
    known = {"activity_regularizer", *target["config"]}
    for name in config.keys() - known:
        if config[name] != source["config"][name]:
            raise ValueError(
                f"`{target['class_name']}` of {target['module']} has no option "
                f"`{name}`. Received: {name}={config[name]!r} in the layer "
                f"{config['name']}"
            )
    return {name: config[name] for name in config if name in known}
