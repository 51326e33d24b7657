"""Additive attention."""

from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.attention.masked_softmax import masked_softmax
from keras_recurrent.layers.product import product


@keras.saving.register_keras_serializable(package="keras_recurrent")
class BahdanauAttention(keras.Layer):
    """Additive attention.

        e_s = v·tanh(W_q·query + W_m·memory_s)   score of position s
        a   = softmax(e)                         alignments
        c   = Σ_s a_s memory_s                   context vector

    where the softmax runs over the positions that the mask leaves. If it
    leaves none, or the memory is empty, alignments and context are zeros.

    Nothing is kept in the layer between calls. The projection W_m·memory is
    the same for all queries: where queries come one by one, compute it once
    with `project_memory` and pass it as `keys`.

    Args:
        units: Positive integer A, size of the space in which query and memory
            meet.
        kernel_initializer: For W_q, W_m and v.

    Call arguments:
        query: (B, U), one query for each sentence, or (B, T, U), many.
        memory: (B, S, M).
        keys: W_m·memory (B, S, A) from `project_memory`; computed if None.
        memory_mask: (B, S), boolean, True at the positions that count, or None.

    Returns:
        The context (B, M) and the alignments (B, S); for many queries
        (B, T, M) and (B, T, S).

    Raises:
        ValueError: `units` is not a positive integer.

    Reference:
        Bahdanau et al. (2015), arXiv:1409.0473, section A.1.2.

    Example:

    >>> attention = BahdanauAttention(5)
    >>> context, alignments = attention(tf.ones((2, 3)), tf.ones((2, 7, 4)))
    >>> context.shape.as_list(), alignments.shape.as_list()
    ([2, 4], [2, 7])
    """

    def __init__(
        self,
        units: int,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(units, int) or units <= 0:
            raise ValueError(
                f"`units` must be a positive integer. Received: units={units}"
            )
        self.units = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.supports_masking = True

    def build(
        self, query_shape: Any, memory_shape: Any, keys_shape: Any = None
    ) -> None:
        self.query_kernel = self.add_weight(
            shape=(query_shape[-1], self.units),
            name="query_kernel",
            initializer=self.kernel_initializer,
        )
        self.memory_kernel = self.add_weight(
            shape=(memory_shape[-1], self.units),
            name="memory_kernel",
            initializer=self.kernel_initializer,
        )
        self.score_kernel = self.add_weight(
            shape=(self.units, 1),
            name="score_kernel",
            initializer=self.kernel_initializer,
        )

    def call(
        self,
        query: Any,
        memory: Any,
        keys: Any = None,
        memory_mask: Any = None,
    ) -> tuple[Any, Any]:
        if keys is None:
            keys = self.project_memory(memory)
        projected = product(query, self.query_kernel)
        return self.attend(projected, memory, keys, memory_mask)

    def compute_mask(self, *args: Any, **kwargs: Any) -> tuple[None, None]:
        return None, None

    def project_memory(self, memory: Any) -> Any:
        """Return W_m·memory (B, S, A), the `keys` of later calls.

        Args:
            memory: (B, S, M).
        """
        # Cast here: outside of `call` Keras does not.
        memory = tf.cast(memory, self.compute_dtype)
        kernel = tf.cast(self.memory_kernel, self.compute_dtype)
        return product(memory, kernel)

    def attend(
        self, projected: Any, memory: Any, keys: Any, memory_mask: Any = None
    ) -> tuple[Any, Any]:
        """Return the context and the alignments of projected queries.

        Args:
            projected: W_q·query (B, A), or (B, T, A).
            memory: (B, S, M).
            keys: (B, S, A), from `project_memory`.
            memory_mask: (B, S), boolean, or None.
        """
        if projected.shape.rank == 2:
            context, alignments = self.attend(
                projected[:, tf.newaxis], memory, keys, memory_mask
            )
            return context[:, 0], alignments[:, 0]
        meeting = tf.tanh(projected[:, :, tf.newaxis] + keys[:, tf.newaxis])
        scores = product(meeting, self.score_kernel)[..., 0]
        mask = None
        if memory_mask is not None:
            mask = tf.cast(memory_mask, tf.bool)[:, tf.newaxis]  # (B, 1, S)
        alignments = masked_softmax(scores, mask)  # (B, T, S)
        return tf.matmul(alignments, memory), alignments

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "units": self.units,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
        }
