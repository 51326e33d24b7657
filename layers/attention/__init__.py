"""Attention mechanisms: where in the memory to look, given a query."""

from keras_recurrent.layers.attention.bahdanau_attention import (
    BahdanauAttention as BahdanauAttention,
)
