"""Attention mechanisms: where in the memory to look, given a query."""

from keras_recurrent.layers.attention.attention import Attention
from keras_recurrent.layers.attention.bahdanau_attention import (
    BahdanauAttention,
)
from keras_recurrent.layers.attention.luong_attention import LuongAttention

ATTENTIONS: dict[str, type[Attention]] = {
    "bahdanau": BahdanauAttention,
    "luong": LuongAttention,
}
