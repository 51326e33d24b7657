"""Attention mechanisms: where in the memory to look, given a query."""

from keras_recurrent.layers.attention.attention import Attention
from keras_recurrent.layers.attention.bahdanau_attention import (
    BahdanauAttention,
)
from keras_recurrent.layers.attention.coverage_attention import (
    CoverageAttention,
)
from keras_recurrent.layers.attention.location_sensitive_attention import (
    LocationSensitiveAttention,
)
from keras_recurrent.layers.attention.luong_attention import LuongAttention
from keras_recurrent.layers.attention.multi_head_attention import (
    MultiHeadAttention,
)

ATTENTIONS: dict[str, type[Attention]] = {
    "bahdanau": BahdanauAttention,
    "coverage": CoverageAttention,
    "location_sensitive": LocationSensitiveAttention,
    "luong": LuongAttention,
    "multi_head": MultiHeadAttention,
}
