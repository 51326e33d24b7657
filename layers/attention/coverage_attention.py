"""Additive attention that knows what it has covered."""

from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.attention.recalling_attention import (
    RecallingAttention,
)


@keras.saving.register_keras_serializable(package="keras_recurrent")
class CoverageAttention(RecallingAttention):
    """Additive attention that sees the sum of all alignments so far.

        e_s = v·tanh(W_q·query + W_m·memory_s + w_c cov_s)   score of position s
        a   = softmax(e)                                     alignments
        c   = Σ_s a_s memory_s                               context vector

    where cov, the coverage, is the sum of the alignments of all queries
    before, zeros for the first one. Against words that are translated twice or
    never.

    Masks, states and call arguments are those of `Attention`.

    Args:
        units: Positive integer A, size of the space in which query and memory
            meet.
        **kwargs: As in `BahdanauAttention`.

    References:
        See et al. (2017), arXiv:1704.04368, equations 10 and 11.
        Tu et al. (2016), arXiv:1601.04811, section 3.1.1, of which this is
        the linguistic coverage with the fertility 1.

    Example:

    >>> attention = CoverageAttention(5)
    >>> _, alignments = attention(tf.ones((2, 6, 3)), tf.ones((2, 7, 4)))
    >>> alignments.shape.as_list()
    [2, 6, 7]
    """

    def build(
        self, query_shape: Any, memory_shape: Any, state_shape: Any = None
    ) -> None:
        super().build(query_shape, memory_shape)
        self.coverage_kernel = self.add_weight(
            shape=(1, self.units),
            name="coverage_kernel",
            initializer=self.kernel_initializer,
        )

    def remember(self, past: Any, alignments: Any) -> Any:
        return past + alignments

    def recall(self, past: Any) -> Any:
        kernel = tf.cast(self.coverage_kernel[0], past.dtype)
        return tf.expand_dims(past, -1) * kernel
