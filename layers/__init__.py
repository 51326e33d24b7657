"""Recurrent cells, the layers that run them over time, and attention.

Shapes in this package are written with these letters:

    B  batch            T  time steps          D  input features
    U  units            P  projected features  S  memory (source) steps
    M  memory features  A  attention units

Time-major tensors are marked as such; everything else is batch-major.
"""

from keras_recurrent.layers.attention.bahdanau_attention import (
    BahdanauAttention as BahdanauAttention,
)
from keras_recurrent.layers.attention.memory import Memory as Memory
from keras_recurrent.layers.attention_cell import (
    AttentionCell as AttentionCell,
)
from keras_recurrent.layers.attention_cell import (
    AttentionState as AttentionState,
)
from keras_recurrent.layers.cells.gru_cell import GRUCell as GRUCell
from keras_recurrent.layers.cells.lstm_cell import LSTMCell as LSTMCell
from keras_recurrent.layers.cells.recurrent_cell import (
    RecurrentCell as RecurrentCell,
)
from keras_recurrent.layers.cells.simple_rnn_cell import (
    SimpleRNNCell as SimpleRNNCell,
)
from keras_recurrent.layers.gru import GRU as GRU
from keras_recurrent.layers.lstm import LSTM as LSTM
from keras_recurrent.layers.rnn import RNN as RNN
from keras_recurrent.layers.simple_rnn import SimpleRNN as SimpleRNN
