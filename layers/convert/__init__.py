"""Weights from and to other libraries."""

from keras_recurrent.layers.convert.addons_cells import (
    load_addons_weights as load_addons_weights,
)
from keras_recurrent.layers.convert.addons_decoder import (
    load_addons_decoder_weights as load_addons_decoder_weights,
)
from keras_recurrent.layers.convert.keras_layers import (
    from_keras as from_keras,
)
from keras_recurrent.layers.convert.keras_layers import to_keras as to_keras
from keras_recurrent.layers.convert.torch_layers import (
    from_torch as from_torch,
)
from keras_recurrent.layers.convert.torch_layers import to_torch as to_torch
