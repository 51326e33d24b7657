"""Multiplicative attention."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

from keras_recurrent.layers.attention.attention import Attention
from keras_recurrent.layers.attention.memory import memory_size


@keras.saving.register_keras_serializable(package="keras_recurrent")
class LuongAttention(Attention):
    """Multiplicative attention.

        e_s = query·(W·memory_s)   score of position s, "general"
        e_s = query·memory_s       "dot"
        a   = softmax(e)           alignments
        c   = Σ_s a_s memory_s     context vector

    With `scale`, e is multiplied with a learned number g. There is no tanh
    over positions and units, so it is faster than `BahdanauAttention`, which
    is what Luong et al. call "concat".

    Masks, states and call arguments are those of `Attention`.

    Args:
        units: Positive integer A, size of the queries; for "dot", also of the
            positions of the memory.
        scale: Whether scores are multiplied with a learned number.
        probability_fn: What makes alignments of scores, see `Attention`.
        kernel_initializer: For W.
        form: "general" or "dot".

    Raises:
        ValueError: queries, or for "dot" the memory, are of another size; or
            `form` is not one of the two.

    Reference:
        Luong et al. (2015), arXiv:1508.04025, section 3.1.

    Example:

    >>> attention = LuongAttention(3)
    >>> context, alignments = attention(tf.ones((2, 3)), tf.ones((2, 7, 4)))
    >>> context.shape.as_list(), alignments.shape.as_list()
    ([2, 4], [2, 7])
    """

    def __init__(
        self,
        units: int,
        scale: bool = False,
        probability_fn: str | Callable[..., Any] = "softmax",
        kernel_initializer: Any = "glorot_uniform",
        form: Literal["general", "dot"] = "general",
        **kwargs: Any,
    ) -> None:
        super().__init__(units, probability_fn, kernel_initializer, **kwargs)
        if form not in ("general", "dot"):
            raise ValueError(
                f"`form` must be 'general' or 'dot'. Received: form={form!r}"
            )
        self.scale = scale
        self.form = form

    def build(
        self, query_shape: Any, memory_shape: Any, state_shape: Any = None
    ) -> None:
        sizes = {"query": query_shape[-1]}
        if self.form == "dot":
            sizes["memory"] = memory_size(memory_shape)
        for name, size in sizes.items():
            if size != self.units:
                raise ValueError(
                    f"The {name} must be of size units={self.units}. "
                    f"Received: size {size}"
                )
        if self.form == "general":
            self.memory_kernel = self.add_weight(
                shape=(memory_size(memory_shape), self.units),
                name="memory_kernel",
                initializer=self.kernel_initializer,
            )
        if self.scale:
            self.score_length = self.add_weight(
                shape=(), name="score_length", initializer="ones"
            )

    def project_memory(self, memory: Any) -> Any:
        if self.form == "dot":
            return memory
        return super().project_memory(memory)

    def score(self, query: Any, keys: Any, state: Sequence[Any]) -> Any:
        scores = tf.matmul(query, keys, transpose_b=True)
        return self.score_length * scores if self.scale else scores

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"scale": self.scale, "form": self.form}
