"""What all attention mechanisms share."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.attention.hardmax import hardmax
from keras_recurrent.layers.attention.masked_softmax import masked_softmax
from keras_recurrent.layers.attention.sparsemax import sparsemax
from keras_recurrent.layers.product import product

PROBABILITIES: dict[str, Callable[..., Any]] = {
    "hardmax": hardmax,
    "softmax": masked_softmax,
    "sparsemax": sparsemax,
}


class Attention(keras.Layer):
    """A score of each position of a memory, made into a weighted sum.

        e_s = score(query, memory_s)
        a   = probability(e)             alignments
        c   = Σ_s a_s memory_s           context vector

    over the positions that the mask leaves. If it leaves none, or the memory
    is empty, alignments and context are zeros.

    Nothing is kept in the layer between calls. What the score makes of the
    memory is the same for all queries: where queries come one by one, compute
    it once with `project_memory` and pass it as `keys`.

    A subclass defines `build`, which adds the `memory_kernel` (M, A), `score`
    and, where queries are projected, `project_query`.

    Args:
        units: Positive integer A, size of the space in which query and memory
            meet.
        probability_fn: "softmax", "sparsemax" (many positions get nothing),
            "hardmax" (one position gets all; no gradient) or a function of
            the scores (B, T, S) and of a mask that is broadcastable to them,
            or None.
        kernel_initializer: For the kernels.

    Call arguments:
        query: (B, U), one query for each sentence, or (B, T, U), many.
        memory: (B, S, M).
        keys: (B, S, A) from `project_memory`; computed if None.
        memory_mask: (B, S), boolean, True at the positions that count, or None.

    Returns:
        The context (B, M) and the alignments (B, S); for many queries
        (B, T, M) and (B, T, S).

    Raises:
        ValueError: `units` is not a positive integer, or `probability_fn` is
            no such name.
    """

    def __init__(
        self,
        units: int,
        probability_fn: str | Callable[..., Any] = "softmax",
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(units, int) or units <= 0:
            raise ValueError(
                f"`units` must be a positive integer. Received: units={units}"
            )
        if not callable(probability_fn) and probability_fn not in PROBABILITIES:
            raise ValueError(
                "`probability_fn` must be one of "
                f"{', '.join(PROBABILITIES)}, or a function. "
                f"Received: probability_fn={probability_fn!r}"
            )
        self.units = units
        self.probability_fn = probability_fn
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.supports_masking = True

    def call(
        self,
        query: Any,
        memory: Any,
        keys: Any = None,
        memory_mask: Any = None,
    ) -> tuple[Any, Any]:
        if keys is None:
            keys = self.project_memory(memory)
        return self.attend(self.project_query(query), memory, keys, memory_mask)

    def compute_mask(self, *args: Any, **kwargs: Any) -> tuple[None, None]:
        return None, None

    def project_memory(self, memory: Any) -> Any:
        """Return what the score makes of the memory, the `keys` (B, S, A).

        Args:
            memory: (B, S, M).
        """
        # Cast here: outside of `call` Keras does not.
        memory = tf.cast(memory, self.compute_dtype)
        kernel = tf.cast(self.memory_kernel, self.compute_dtype)
        return product(memory, kernel)

    def project_query(
        self, query: Any, dot: Callable[..., Any] = product
    ) -> Any:
        """Return what the score makes of queries (…, U), (…, A).

        Args:
            query: (…, U).
            dot: The product with a weight.
        """
        return query

    def score(self, query: Any, keys: Any) -> Any:
        """Return the scores (B, T, S).

        Args:
            query: (B, T, A), from `project_query`.
            keys: (B, S, A), from `project_memory`.
        """
        raise NotImplementedError

    def attend(
        self, query: Any, memory: Any, keys: Any, memory_mask: Any = None
    ) -> tuple[Any, Any]:
        """Return the context and the alignments of projected queries.

        Args:
            query: (B, A) or (B, T, A), from `project_query`.
            memory: (B, S, M).
            keys: (B, S, A), from `project_memory`.
            memory_mask: (B, S), boolean, or None.
        """
        if query.shape.rank == 2:
            context, alignments = self.attend(
                query[:, tf.newaxis], memory, keys, memory_mask
            )
            return context[:, 0], alignments[:, 0]
        mask = None
        if memory_mask is not None:
            mask = tf.cast(memory_mask, tf.bool)[:, tf.newaxis]  # (B, 1, S)
        probability = self.probability_fn
        if not callable(probability):
            probability = PROBABILITIES[probability]
        alignments = probability(self.score(query, keys), mask)  # (B, T, S)
        return tf.matmul(alignments, memory), alignments

    def get_config(self) -> dict[str, Any]:
        probability = self.probability_fn
        if callable(probability):
            probability = keras.saving.serialize_keras_object(probability)
        return super().get_config() | {
            "units": self.units,
            "probability_fn": probability,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Attention":
        probability = config["probability_fn"]
        if not isinstance(probability, str):
            probability = keras.saving.deserialize_keras_object(probability)
        return cls(**(config | {"probability_fn": probability}))
