"""What the weights of a recurrent module of torch tell about it."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple


class TorchModule(NamedTuple):
    """The sizes of a `torch.nn.LSTM`, `torch.nn.GRU` or `torch.nn.RNN`.

    Attributes:
        gates: Blocks of rows in a matrix: 4 (LSTM), 3 (GRU) or 1 (RNN).
        units: Rows in a block, `hidden_size` there.
        projection: Size of the output of an LSTM that projects it, `proj_size`
            there, or None.
        input_size: Input features of the first layer.
        layers: How many layers follow each other.
        directions: The endings of the names, "" and perhaps "_reverse".
        use_bias: Whether there are biases.
    """

    gates: int
    units: int
    projection: int | None
    input_size: int
    layers: int
    directions: tuple[str, ...]
    use_bias: bool

    @property
    def input_sizes(self) -> list[int]:
        """The input features of each layer."""
        further = len(self.directions) * (self.projection or self.units)
        return [self.input_size] + [further] * (self.layers - 1)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The names and shapes of all weights."""
        rows = self.gates * self.units
        shapes: dict[str, tuple[int, ...]] = {}
        for number, input_size in enumerate(self.input_sizes):
            for direction in self.directions:
                end = f"l{number}{direction}"
                shapes[f"weight_ih_{end}"] = (rows, input_size)
                shapes[f"weight_hh_{end}"] = (
                    rows,
                    self.projection or self.units,
                )
                if self.use_bias:
                    shapes[f"bias_ih_{end}"] = (rows,)
                    shapes[f"bias_hh_{end}"] = (rows,)
                if self.projection:
                    shapes[f"weight_hr_{end}"] = (self.projection, self.units)
        return shapes


def read_module(weights: Mapping[str, Any]) -> TorchModule:
    """Read a module off its weights.

    Args:
        weights: Names to NumPy arrays: `weight_ih_l0`, …

    Raises:
        ValueError: weights are missing, not expected, or of a wrong shape.
    """
    kernel, recurrent = (
        _matrix(weights, name) for name in ("weight_ih_l0", "weight_hh_l0")
    )
    rows, units = recurrent.shape
    projection = None
    if "weight_hr_l0" in weights:
        projection, units = _matrix(weights, "weight_hr_l0").shape
    gates = rows // units
    known = (4,) if projection else (1, 3, 4)
    if gates not in known or rows % units:
        raise ValueError(
            "`weight_hh_l0` must have shape (4U, U) for an LSTM, (4U, P) for "
            "one with `weight_hr_l0` (P, U), (3U, U) for a GRU or (U, U) for "
            f"an RNN. Received: {recurrent.shape}"
        )
    module = TorchModule(
        gates,
        units,
        projection,
        input_size=kernel.shape[1],
        layers=sum(
            re.fullmatch(r"weight_ih_l\d+", name) is not None
            for name in weights
        ),
        directions=("", "_reverse")
        if "weight_ih_l0_reverse" in weights
        else ("",),
        use_bias="bias_ih_l0" in weights,
    )
    shapes = module.shapes
    if weights.keys() != shapes.keys():
        raise ValueError(
            "The weights do not make a recurrent module of torch. Missing: "
            f"{sorted(shapes.keys() - weights.keys())}. Not expected: "
            f"{sorted(weights.keys() - shapes.keys())}"
        )
    for name, shape in shapes.items():
        if weights[name].shape != shape:
            raise ValueError(
                f"`{name}` must have shape {shape}. Received: "
                f"{weights[name].shape}"
            )
    return module


def _matrix(weights: Mapping[str, Any], name: str) -> Any:
    if name not in weights:
        raise ValueError(f"`{name}` is missing. Received: {sorted(weights)}")
    if weights[name].ndim != 2 or 0 in weights[name].shape:
        raise ValueError(
            f"`{name}` must be a matrix. Received: an array of shape "
            f"{weights[name].shape}"
        )
    return weights[name]
