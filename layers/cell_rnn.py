"""Layers that make their own cell."""

import operator
from typing import Any

import keras

from keras_recurrent.layers.cells.recurrent_cell import RecurrentCell
from keras_recurrent.layers.rnn import RNN

# What configures the layer; every other argument is the cell's.
_LAYER_ARGUMENTS = (
    "activity_regularizer",
    "go_backwards",
    "name",
    "return_sequences",
    "return_state",
    "stateful",
    "trainable",
    "unroll",
    "zero_output_for_mask",
)


class CellRNN(RNN):
    """An `RNN` that makes its own cell, for layers such as `LSTM`.

    Args:
        units: Positive integer, size of the output.
        **kwargs: The arguments of the cell and those of `RNN`.
    """

    cell_class: type[RecurrentCell]

    def __init__(self, units: int, **kwargs: Any) -> None:
        # Keras takes this one too, and it has no effect there either.
        kwargs.pop("implementation", None)
        layer_arguments = {
            name: kwargs.pop(name)
            for name in _LAYER_ARGUMENTS
            if name in kwargs
        }
        cell = self.cell_class(
            units, trainable=layer_arguments.get("trainable", True), **kwargs
        )
        super().__init__(cell, **layer_arguments)
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def get_config(self) -> dict[str, Any]:
        layer_config = super().get_config()
        del layer_config["cell"]
        regularizer = keras.regularizers.serialize(self.activity_regularizer)
        return (
            self.cell.get_config()
            | layer_config
            | {"activity_regularizer": regularizer}
        )

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "CellRNN":
        return cls(**config)


# The layer answers for its cell, as the layers of Keras do.
for _name in (
    "units",
    "activation",
    "recurrent_activation",
    "use_bias",
    "unit_forget_bias",
    "reset_after",
    "kernel_initializer",
    "recurrent_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "recurrent_regularizer",
    "bias_regularizer",
    "kernel_constraint",
    "recurrent_constraint",
    "bias_constraint",
    "dropout",
    "recurrent_dropout",
):
    setattr(CellRNN, _name, property(operator.attrgetter(f"cell.{_name}")))
