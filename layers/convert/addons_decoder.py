"""Weights of the `AttentionWrapper` of tensorflow-addons."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_recurrent.layers.attention_cell import AttentionCell
from keras_recurrent.layers.convert.addons_cells import load_addons_weights


def load_addons_decoder_weights(
    cell: AttentionCell, weights: Mapping[str, Any]
) -> None:
    """Give an attention cell the weights of an `AttentionWrapper`.

    Make the cell with `query="new_state"` and `input_feeding=True`, as the
    wrapper has it, `units=attention_layer_size`, `activation=None`, and the
    likes of its cell and of its attention mechanism. The layer behind a
    decoder and its embeddings are layers of Keras there and here: hand over
    their weights with `set_weights`.

    Args:
        cell: With one attention, built.
        weights: Names to arrays as of `.weights` there, such as
            "decoder/attention_wrapper/BahdanauAttention/attention_v:0".

    Raises:
        ValueError: the cell does not work as the wrapper does; or weights are
            missing, not expected, or of a wrong shape.
    """
    if cell.query != "new_state" or not cell.input_feeding:
        raise ValueError(
            "An `AttentionWrapper` asks with the new state and feeds what "
            "attention makes. Received: a cell with "
            f"query={cell.query!r}, input_feeding={cell.input_feeding}"
        )
    if len(cell.attentions) != 1:
        raise ValueError(
            "`cell` must have one attention. "
            f"Received: {len(cell.attentions)} of them"
        )
    if not cell.built:
        raise ValueError("`cell` must be built before it is given weights.")
    of_cells, others = _sort(weights)
    if len(of_cells) != len(cell.cells):
        raise ValueError(
            f"`weights` must hold those of {len(cell.cells)} cells. "
            f"Received: those of {len(of_cells)}"
        )
    attention = cell.attentions[0]
    own = {weight.name: weight for weight in attention.weights}
    if cell.units:
        own["output_kernel"] = cell.output_kernel
        if "output_kernel" in others:
            # There the output of the cell comes before the context.
            size = cell.cells[-1].output_size
            kernels = np.split(others["output_kernel"], [size])
            if cell.projects_memory:
                own["context_kernel"] = cell.context_kernel
                others["output_kernel"], others["context_kernel"] = kernels
            else:
                others["output_kernel"] = np.concatenate(kernels[::-1])
    if own.keys() != others.keys():
        raise ValueError(
            "Beside those of cells, `weights` must hold "
            f"{', '.join(sorted(own))}. Received: {', '.join(sorted(others))}"
        )
    for name, weight in own.items():
        if others[name].shape != weight.shape:
            raise ValueError(
                f"`{name}` must have shape {tuple(weight.shape)}. "
                f"Received: {others[name].shape}"
            )
    for one, arrays in zip(cell.cells, of_cells, strict=True):
        load_addons_weights(one, arrays)
    for name, weight in own.items():
        weight.assign(others[name])


# What stands at the end of a name there, and what the weight is here.
_NAMES = {
    "attention_layer/kernel": "output_kernel",
    "memory_layer/kernel": "memory_kernel",
    "attention_v": "score_kernel",
    "attention_g": "score_length",
    "attention_b": "score_bias",
    "attention_score_bias": "stop_bias",
}


def _sort(
    weights: Mapping[str, Any],
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the weights of each cell by their names, and the others."""
    arrays = {
        name.partition(":")[0]: np.asarray(array)
        for name, array in weights.items()
    }
    layers = [
        name.removesuffix("recurrent_kernel")
        for name in arrays
        if name.endswith("recurrent_kernel")
    ]
    of_cells: list[dict[str, Any]] = [{} for _ in layers]
    others = {}
    for name, array in arrays.items():
        within = [i for i, layer in enumerate(layers) if name.startswith(layer)]
        if within:
            of_cells[within[0]][name.removeprefix(layers[within[0]])] = array
            continue
        ends = [end for end in _NAMES if name.endswith(end)]
        # The kernel of the mechanism itself is that of the query.
        own_name = _NAMES[ends[0]] if ends else f"query_{name.split('/')[-1]}"
        if own_name == "score_kernel":
            array = array[:, np.newaxis]
        others[own_name] = array
    return of_cells, others
