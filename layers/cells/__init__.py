"""Recurrent cells: one time step each, with their equations."""

from keras_recurrent.layers.cells.esn_cell import ESNCell
from keras_recurrent.layers.cells.fast_grnn_cell import FastGRNNCell
from keras_recurrent.layers.cells.gru_cell import GRUCell
from keras_recurrent.layers.cells.ind_rnn_cell import IndRNNCell
from keras_recurrent.layers.cells.janet_cell import JANETCell
from keras_recurrent.layers.cells.layer_norm_gru_cell import LayerNormGRUCell
from keras_recurrent.layers.cells.layer_norm_lstm_cell import LayerNormLSTMCell
from keras_recurrent.layers.cells.layer_norm_simple_rnn_cell import (
    LayerNormSimpleRNNCell,
)
from keras_recurrent.layers.cells.lem_cell import LEMCell
from keras_recurrent.layers.cells.lru_cell import LRUCell
from keras_recurrent.layers.cells.lstm_cell import LSTMCell
from keras_recurrent.layers.cells.mgu_cell import MGUCell
from keras_recurrent.layers.cells.min_gru_cell import MinGRUCell
from keras_recurrent.layers.cells.min_lstm_cell import MinLSTMCell
from keras_recurrent.layers.cells.mlstm_cell import MLSTMCell
from keras_recurrent.layers.cells.nas_cell import NASCell
from keras_recurrent.layers.cells.nbrc_cell import NBRCCell
from keras_recurrent.layers.cells.peephole_lstm_cell import PeepholeLSTMCell
from keras_recurrent.layers.cells.qrnn_cell import QRNNCell
from keras_recurrent.layers.cells.recurrent_cell import RecurrentCell
from keras_recurrent.layers.cells.rg_lru_cell import RGLRUCell
from keras_recurrent.layers.cells.simple_rnn_cell import SimpleRNNCell
from keras_recurrent.layers.cells.slstm_cell import SLSTMCell
from keras_recurrent.layers.cells.sru_cell import SRUCell
from keras_recurrent.layers.cells.star_cell import STARCell

# The names by which recipes and searches choose a cell.
CELLS: dict[str, type[RecurrentCell]] = {
    "esn": ESNCell,
    "fast_grnn": FastGRNNCell,
    "gru": GRUCell,
    "ind_rnn": IndRNNCell,
    "janet": JANETCell,
    "layer_norm_gru": LayerNormGRUCell,
    "layer_norm_lstm": LayerNormLSTMCell,
    "layer_norm_simple_rnn": LayerNormSimpleRNNCell,
    "lem": LEMCell,
    "lru": LRUCell,
    "lstm": LSTMCell,
    "mgu": MGUCell,
    "min_gru": MinGRUCell,
    "min_lstm": MinLSTMCell,
    "mlstm": MLSTMCell,
    "nas": NASCell,
    "nbrc": NBRCCell,
    "peephole_lstm": PeepholeLSTMCell,
    "qrnn": QRNNCell,
    "rg_lru": RGLRUCell,
    "simple_rnn": SimpleRNNCell,
    "slstm": SLSTMCell,
    "sru": SRUCell,
    "star": STARCell,
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
