"""Additive attention that knows where it looked before."""

from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.attention.recalling_attention import (
    RecallingAttention,
)
from keras_recurrent.layers.ops.product import product


@keras.saving.register_keras_serializable(package="keras_recurrent")
class LocationSensitiveAttention(RecallingAttention):
    """Additive attention that sees the alignments of the query before.

        f   = F ∗ α'                                     location features
        e_s = v·tanh(W_q·query + W_m·memory_s + W_f·f_s)   score of position s
        a   = softmax(e)                                 alignments
        c   = Σ_s a_s memory_s                           context vector

    where ∗ is a convolution over the positions and α' are the alignments of
    the query before, zeros for the first one. For speech, where the memory is
    read from left to right and similar positions are many.

    Masks, states and call arguments are those of `Attention`.

    Args:
        units: Positive integer A, size of the space in which query and memory
            meet.
        filters: Number of location features.
        kernel_size: Number of positions that a feature sees.
        **kwargs: As in `BahdanauAttention`.

    Raises:
        ValueError: `filters` or `kernel_size` is not positive.

    Reference:
        Chorowski et al. (2015), arXiv:1506.07503, section 2.1.

    Example:

    >>> attention = LocationSensitiveAttention(5, filters=2, kernel_size=3)
    >>> memory, queries = tf.ones((2, 7, 4)), tf.ones((2, 6, 3))
    >>> contexts, alignments = attention(queries, memory)
    >>> alignments.shape.as_list()
    [2, 6, 7]
    """

    def __init__(
        self,
        units: int,
        filters: int = 32,
        kernel_size: int = 31,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, **kwargs)
        for name, value in (("filters", filters), ("kernel_size", kernel_size)):
            if value < 1:
                raise ValueError(
                    f"`{name}` must be positive. Received: {name}={value}"
                )
        self.filters = filters
        self.kernel_size = kernel_size

    def build(
        self, query_shape: Any, memory_shape: Any, state_shape: Any = None
    ) -> None:
        super().build(query_shape, memory_shape)
        self.location_filters = self.add_weight(
            shape=(self.kernel_size, 1, self.filters),
            name="location_filters",
            initializer=self.kernel_initializer,
        )
        self.location_kernel = self.add_weight(
            shape=(self.filters, self.units),
            name="location_kernel",
            initializer=self.kernel_initializer,
        )

    def remember(self, past: Any, alignments: Any) -> Any:
        return alignments

    def recall(self, past: Any) -> Any:
        filters = tf.cast(self.location_filters, past.dtype)
        shape = tf.shape(past)
        rows = tf.reshape(past, (shape[0] * shape[1], shape[2], 1))
        features = tf.nn.conv1d(rows, filters, stride=1, padding="SAME")
        return tf.reshape(
            product(features, tf.cast(self.location_kernel, past.dtype)),
            tf.concat([shape, [self.units]], 0),
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
        }
