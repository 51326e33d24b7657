"""Recurrent cells: one time step each, with their equations."""

from keras_recurrent.layers.cells.gru_cell import GRUCell
from keras_recurrent.layers.cells.lstm_cell import LSTMCell
from keras_recurrent.layers.cells.recurrent_cell import RecurrentCell
from keras_recurrent.layers.cells.simple_rnn_cell import SimpleRNNCell

# The names by which recipes and searches choose a cell.
CELLS: dict[str, type[RecurrentCell]] = {
    "gru": GRUCell,
    "lstm": LSTMCell,
    "simple_rnn": SimpleRNNCell,
}


def get_cell(name: str) -> type[RecurrentCell]:
    """Return the cell class of that name.

    Raises:
        ValueError: no cell has that name.
    """
    if name not in CELLS:
        raise ValueError(
            f"Unknown cell. Expected one of {', '.join(sorted(CELLS))}. "
            f"Received: {name!r}"
        )
    return CELLS[name]
