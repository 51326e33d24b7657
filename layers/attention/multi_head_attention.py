"""Several attentions side by side."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

from keras_recurrent.layers.attention.attention import Attention
from keras_recurrent.layers.attention.memory import Memory, memory_size
from keras_recurrent.layers.ops.product import product


@keras.saving.register_keras_serializable(package="keras_recurrent")
class MultiHeadAttention(Attention):
    """H attentions (heads), each in a space of A / H units of its own.

        e_hs = q_h·k_hs / √(A / H)          score of position s, "dot"
        e_hs = v_h·tanh(q_h + k_hs)         "additive"
        a_h  = softmax(e_h)
        c    = [Σ_s a_1s u_1s, …, Σ_s a_Hs u_Hs]    context vector

    with q = W_q·query, k_s = W_m·memory_s and u_s = W_u·memory_s, cut into H
    parts. The alignments a are the mean of all heads. There is no projection
    of the context behind it: the layers that read contexts have their own.

    Masks and call arguments are those of `Attention`; contexts are of size A.

    Args:
        units: Positive integer A, size of all heads together.
        num_heads: Number H of heads, a divisor of `units`.
        form: "dot" or "additive".
        probability_fn: What makes alignments of scores, see `Attention`; not
            "monotonic".
        kernel_initializer: For W_q, W_m, W_u and v.

    Raises:
        ValueError: `num_heads` does not divide `units`, `form` is not one of
            the two, or the probability is monotonic.

    References:
        Vaswani et al. (2017), arXiv:1706.03762, section 3.2.2.
        Chen et al. (2018), arXiv:1804.09849, section 3, on additive heads.

    Example:

    >>> attention = MultiHeadAttention(6, num_heads=2)
    >>> context, alignments = attention(tf.ones((2, 3)), tf.ones((2, 7, 4)))
    >>> context.shape.as_list(), alignments.shape.as_list()
    ([2, 6], [2, 7])
    """

    def __init__(
        self,
        units: int,
        num_heads: int = 4,
        form: Literal["dot", "additive"] = "dot",
        probability_fn: str | Callable[..., Any] = "softmax",
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(units, probability_fn, kernel_initializer, **kwargs)
        if num_heads < 1 or units % num_heads:
            raise ValueError(
                "`num_heads` must be a divisor of `units`. "
                f"Received: num_heads={num_heads}, units={units}"
            )
        if form not in ("dot", "additive"):
            raise ValueError(
                f"`form` must be 'dot' or 'additive'. Received: form={form!r}"
            )
        if self.monotonic is not None:
            raise ValueError(
                "Heads cannot be monotonic, as only their mean is known to "
                f"the next query. Received: probability_fn={probability_fn}"
            )
        self.num_heads = num_heads
        self.form = form

    def build(
        self, query_shape: Any, memory_shape: Any, state_shape: Any = None
    ) -> None:
        width = memory_size(memory_shape)
        for name, size in (
            ("query", query_shape[-1]),
            ("memory", width),
            ("value", width),
        ):
            kernel = self.add_weight(
                shape=(size, self.units),
                name=f"{name}_kernel",
                initializer=self.kernel_initializer,
            )
            setattr(self, f"{name}_kernel", kernel)
        if self.form == "additive":
            self.score_kernel = self.add_weight(
                shape=(self.num_heads, self.units // self.num_heads),
                name="score_kernel",
                initializer=self.kernel_initializer,
            )

    def context_size(self, memory_size: int) -> int:
        return self.units

    def prepare_memory(self, values: Any, mask: Any = None) -> Memory:
        values, keys, mask = super().prepare_memory(values, mask)
        kernel = tf.cast(self.value_kernel, values.dtype)
        return Memory(product(values, kernel), keys, mask)

    def project_query(
        self, query: Any, dot: Callable[..., Any] = product
    ) -> Any:
        self._check_built()
        return dot(query, self.query_kernel)

    def score(self, query: Any, keys: Any, state: Sequence[Any]) -> Any:
        """Return the scores (B, H, K, S)."""
        query, keys = self._heads(query), self._heads(keys)
        if self.form == "dot":
            scale = (self.units // self.num_heads) ** -0.5
            return tf.matmul(query * scale, keys, transpose_b=True)
        meeting = tf.tanh(query[:, :, :, tf.newaxis] + keys[:, :, tf.newaxis])
        kernel = tf.cast(self.score_kernel, meeting.dtype)
        return tf.einsum("bhksa,ha->bhks", meeting, kernel)

    def attend(
        self,
        query: Any,
        memory: Memory,
        state: Sequence[Any] = (),
        noise: Any = None,
    ) -> tuple[Any, Any]:
        scores = self.score(query, memory.keys, state)
        alignments = self.alignments(scores, memory.mask)  # (B, H, K, S)
        kept = self.kept(alignments, noise)
        contexts = tf.matmul(kept, self._heads(memory.values))
        contexts = tf.transpose(contexts, (0, 2, 1, 3))  # (B, K, H, A / H)
        shape = tf.concat([tf.shape(contexts)[:2], [self.units]], 0)
        return tf.reshape(contexts, shape), tf.reduce_mean(alignments, axis=1)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_heads": self.num_heads,
            "form": self.form,
        }

    def _heads(self, x: Any) -> Any:
        """Cut (B, N, A) into (B, H, N, A / H)."""
        size = self.units // self.num_heads
        shape = tf.concat([tf.shape(x)[:2], [self.num_heads, size]], 0)
        return tf.transpose(tf.reshape(x, shape), (0, 2, 1, 3))
