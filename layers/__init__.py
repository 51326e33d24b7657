"""Recurrent cells, the layers that run them over time, and attention.

Shapes in this package are written with these letters:

    B  batch            T  time steps          D  input features
    U  units            P  projected features  S  memory (source) steps
    M  memory features  A  attention units

Time-major tensors are marked as such; everything else is batch-major.

Import this package before `keras.saving.load_model` reads a file with one of
these layers in it.
"""

from keras_recurrent.layers.attention.attention import Attention as Attention
from keras_recurrent.layers.attention.bahdanau_attention import (
    BahdanauAttention as BahdanauAttention,
)
from keras_recurrent.layers.attention.coverage_attention import (
    CoverageAttention as CoverageAttention,
)
from keras_recurrent.layers.attention.location_sensitive_attention import (
    LocationSensitiveAttention as LocationSensitiveAttention,
)
from keras_recurrent.layers.attention.luong_attention import (
    LuongAttention as LuongAttention,
)
from keras_recurrent.layers.attention.memory import Memory as Memory
from keras_recurrent.layers.attention.monotonic import Monotonic as Monotonic
from keras_recurrent.layers.attention.multi_head_attention import (
    MultiHeadAttention as MultiHeadAttention,
)
from keras_recurrent.layers.attention_cell import (
    AttentionCell as AttentionCell,
)
from keras_recurrent.layers.cells.esn_cell import ESNCell as ESNCell
from keras_recurrent.layers.cells.fast_grnn_cell import (
    FastGRNNCell as FastGRNNCell,
)
from keras_recurrent.layers.cells.gru_cell import GRUCell as GRUCell
from keras_recurrent.layers.cells.ind_rnn_cell import IndRNNCell as IndRNNCell
from keras_recurrent.layers.cells.janet_cell import JANETCell as JANETCell
from keras_recurrent.layers.cells.layer_norm_gru_cell import (
    LayerNormGRUCell as LayerNormGRUCell,
)
from keras_recurrent.layers.cells.layer_norm_lstm_cell import (
    LayerNormLSTMCell as LayerNormLSTMCell,
)
from keras_recurrent.layers.cells.layer_norm_simple_rnn_cell import (
    LayerNormSimpleRNNCell as LayerNormSimpleRNNCell,
)
from keras_recurrent.layers.cells.lem_cell import LEMCell as LEMCell
from keras_recurrent.layers.cells.lru_cell import LRUCell as LRUCell
from keras_recurrent.layers.cells.lstm_cell import LSTMCell as LSTMCell
from keras_recurrent.layers.cells.mgu_cell import MGUCell as MGUCell
from keras_recurrent.layers.cells.min_gru_cell import MinGRUCell as MinGRUCell
from keras_recurrent.layers.cells.min_lstm_cell import (
    MinLSTMCell as MinLSTMCell,
)
from keras_recurrent.layers.cells.mlstm_cell import MLSTMCell as MLSTMCell
from keras_recurrent.layers.cells.nas_cell import NASCell as NASCell
from keras_recurrent.layers.cells.nbrc_cell import NBRCCell as NBRCCell
from keras_recurrent.layers.cells.peephole_lstm_cell import (
    PeepholeLSTMCell as PeepholeLSTMCell,
)
from keras_recurrent.layers.cells.qrnn_cell import QRNNCell as QRNNCell
from keras_recurrent.layers.cells.recurrent_cell import (
    RecurrentCell as RecurrentCell,
)
from keras_recurrent.layers.cells.rg_lru_cell import RGLRUCell as RGLRUCell
from keras_recurrent.layers.cells.simple_rnn_cell import (
    SimpleRNNCell as SimpleRNNCell,
)
from keras_recurrent.layers.cells.slstm_cell import SLSTMCell as SLSTMCell
from keras_recurrent.layers.cells.sru_cell import SRUCell as SRUCell
from keras_recurrent.layers.cells.star_cell import STARCell as STARCell
from keras_recurrent.layers.cudnn_rnn import without_cudnn as without_cudnn
from keras_recurrent.layers.for_export import for_export as for_export
from keras_recurrent.layers.gru import GRU as GRU
from keras_recurrent.layers.loops.attention_step import (
    AttentionState as AttentionState,
)
from keras_recurrent.layers.loops.plain_loops import plain_loops as plain_loops
from keras_recurrent.layers.lstm import LSTM as LSTM
from keras_recurrent.layers.ops.linear_scan import linear_scan as linear_scan
from keras_recurrent.layers.rnn import RNN as RNN
from keras_recurrent.layers.simple_rnn import SimpleRNN as SimpleRNN
