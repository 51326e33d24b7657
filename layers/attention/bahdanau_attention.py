"""Additive attention."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.attention.attention import Attention
from keras_recurrent.layers.attention.memory import memory_size
from keras_recurrent.layers.ops.product import product


@keras.saving.register_keras_serializable(package="keras_recurrent")
class BahdanauAttention(Attention):
    """Additive attention.

        e_s = v·tanh(W_q·query + W_m·memory_s)   score of position s
        a   = softmax(e)                         alignments
        c   = Σ_s a_s memory_s                   context vector

    With `normalize`, v is g v/|v|, of learned length g, and there is a bias b
    inside of tanh. This is also what Luong et al. (2015) call "concat": their
    W·[query, memory_s] is W_q·query + W_m·memory_s.

    Masks, states and call arguments are those of `Attention`.

    Args:
        units: Positive integer A, size of the space in which query and memory
            meet.
        normalize: Whether the score is weight-normalised.
        probability_fn: What makes alignments of scores, see `Attention`.
        kernel_initializer: For W_q, W_m and v.

    References:
        Bahdanau et al. (2015), arXiv:1409.0473, section A.1.2.
        Salimans & Kingma (2016), arXiv:1602.07868, on the normalisation.

    Example:

    >>> attention = BahdanauAttention(5)
    >>> context, alignments = attention(tf.ones((2, 3)), tf.ones((2, 7, 4)))
    >>> context.shape.as_list(), alignments.shape.as_list()
    ([2, 4], [2, 7])
    """

    def __init__(
        self,
        units: int,
        normalize: bool = False,
        probability_fn: str | Callable[..., Any] = "softmax",
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(units, probability_fn, kernel_initializer, **kwargs)
        self.normalize = normalize

    def build(
        self, query_shape: Any, memory_shape: Any, state_shape: Any = None
    ) -> None:
        self.query_kernel = self.add_weight(
            shape=(query_shape[-1], self.units),
            name="query_kernel",
            initializer=self.kernel_initializer,
        )
        self.memory_kernel = self.add_weight(
            shape=(memory_size(memory_shape), self.units),
            name="memory_kernel",
            initializer=self.kernel_initializer,
        )
        self.score_kernel = self.add_weight(
            shape=(self.units, 1),
            name="score_kernel",
            initializer=self.kernel_initializer,
        )
        if self.normalize:
            # The length that v has on average without normalisation.
            length = keras.initializers.Constant(self.units**-0.5)
            self.score_length = self.add_weight(
                shape=(), name="score_length", initializer=length
            )
            self.score_bias = self.add_weight(
                shape=(self.units,), name="score_bias", initializer="zeros"
            )

    def project_memory(self, memory: Any) -> Any:
        keys = super().project_memory(memory)
        if self.normalize:
            # Here once, rather than in each score.
            keys = keys + tf.cast(self.score_bias, keys.dtype)
        return keys

    def project_query(
        self, query: Any, dot: Callable[..., Any] = product
    ) -> Any:
        self._check_built()
        return dot(query, self.query_kernel)

    def score(self, query: Any, keys: Any, state: Sequence[Any]) -> Any:
        return self._score(query[:, :, tf.newaxis] + keys[:, tf.newaxis])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"normalize": self.normalize}

    def _score(self, meeting: Any) -> Any:
        """Return v·tanh(meeting), (…, A) to (…)."""
        kernel = tf.convert_to_tensor(self.score_kernel)
        if self.normalize:
            length = tf.norm(tf.cast(kernel, tf.float32))
            kernel = self.score_length * kernel / tf.cast(length, kernel.dtype)
        return product(tf.tanh(meeting), kernel)[..., 0]
