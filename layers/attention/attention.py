"""What all attention mechanisms share.

Longer than other files: it is the page that the author of an attention reads,
half of it docstrings.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.layers.attention.hardmax import hardmax
from keras_recurrent.layers.attention.masked_softmax import masked_softmax
from keras_recurrent.layers.attention.memory import Memory
from keras_recurrent.layers.attention.monotonic import Monotonic
from keras_recurrent.layers.attention.sparsemax import sparsemax
from keras_recurrent.layers.ops.check_built import check_built
from keras_recurrent.layers.ops.product import product
from keras_recurrent.layers.ops.recurrence import (
    recurrence,
    swap_batch_and_time,
)

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
    it once with `prepare_memory`, and pass the result as `memory`.

    Some mechanisms look at where they looked before. They have a state, made
    of past alignments, which goes in and out like that of a cell:

        memory = attention.prepare_memory(values, mask)
        state = attention.get_initial_state(memory)
        context, alignments = attention(query, memory, state=state)
        state = attention.next_state(state, alignments)

    A subclass defines `build`, which adds the `memory_kernel` (M, A), `score`
    and, where queries are projected, `project_query`; with a state of its own
    also `get_initial_state` and `next_state`.

    Args:
        units: Positive integer A, size of the space in which query and memory
            meet.
        probability_fn: "softmax", "sparsemax" (many positions get nothing),
            "hardmax" (one position gets all; no gradient), "monotonic" (it
            never looks back) or a `Monotonic` with options, or a function of
            the scores (B, T, S) and of a mask that is broadcastable to them,
            or None.
        kernel_initializer: For the kernels.
        dropout: Share of the alignments to drop in training, before they
            weigh the memory; those that are returned are whole.

    Call arguments:
        query: (B, U), one query for each sentence, or (B, T, U), many.
        memory: (B, S, M), or from `prepare_memory`.
        memory_mask: (B, S), boolean, True at the positions that count, or
            None; for a memory that is not prepared.
        state: The state before the (first) query, each (B, S); that of
            `get_initial_state` by default.
        training: Whether to apply noise and dropout, if there is any.

    Returns:
        The context (B, M) and the alignments (B, S); for many queries
        (B, T, M) and (B, T, S).

    Raises:
        ValueError: `units` is not a positive integer; `probability_fn` is no
            such name; `dropout` is not in [0, 1), or is for a monotonic
            attention; there is a mask beside a prepared memory; or a layer
            that is not built yet is to project a query or a memory alone.
    """

    def __init__(
        self,
        units: int,
        probability_fn: str | Callable[..., Any] = "softmax",
        kernel_initializer: Any = "glorot_uniform",
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(units, int) or units <= 0:
            raise ValueError(
                f"`units` must be a positive integer. Received: units={units}"
            )
        if probability_fn == "monotonic":
            probability_fn = Monotonic()
        if not callable(probability_fn) and probability_fn not in PROBABILITIES:
            raise ValueError(
                "`probability_fn` must be one of "
                f"{', '.join(PROBABILITIES)}, monotonic, or a function. "
                f"Received: probability_fn={probability_fn!r}"
            )
        self.units = units
        self.probability_fn = probability_fn
        # Whether, and how, alignments are a function of those before.
        self.monotonic = (
            probability_fn if isinstance(probability_fn, Monotonic) else None
        )
        if not 0 <= dropout < 1 or (dropout and self.monotonic is not None):
            raise ValueError(
                "`dropout` must be in [0, 1), and 0 for monotonic alignments, "
                f"whose next ones go on from them. Received: dropout={dropout}"
            )
        self.dropout = dropout
        if dropout:
            self.seed_generator = keras.random.SeedGenerator()
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.supports_masking = True

    def call(
        self,
        query: Any,
        memory: Any,
        memory_mask: Any = None,
        state: list[Any] | None = None,
        training: bool = False,
    ) -> tuple[Any, Any]:
        if not isinstance(memory, Memory):
            memory = self.prepare_memory(memory, memory_mask)
        elif tf.is_tensor(memory_mask):
            # Of a `Memory`, Keras itself gives a structure of masks.
            raise ValueError(
                "`memory_mask` is for a memory that is not prepared: give it "
                "to `prepare_memory`."
            )
        if state is None:
            state = self.get_initial_state(memory)
        query = self.project_query(query)
        if query.shape.rank == 2:
            noise = self.noise((tf.shape(query)[0],), memory, training)
            return self._attend_one(query, memory, state, noise)
        if not state:
            shape = (tf.shape(query)[0], tf.shape(query)[1])
            noise = self.noise(shape, memory, training)
            return self.attend(query, memory, noise=noise)
        return self._attend_in_turn(query, memory, state, training)

    def compute_mask(self, *args: Any, **kwargs: Any) -> tuple[None, None]:
        return None, None

    def context_size(self, memory_size: int) -> int:
        """Return the size of the context, given the size M of the memory."""
        return memory_size

    @property
    def sums_values(self) -> bool:
        """Whether a context is Σ_s a_s values_s, for any values."""
        return type(self).attend is Attention.attend

    def prepare_memory(self, values: Any, mask: Any = None) -> Memory:
        """Do once what all queries need of a memory.

        Args:
            values: (B, S, M).
            mask: (B, S), boolean, True at the positions that count, or None.
        """
        # Cast here: outside of `call` Keras does not.
        values = tf.cast(values, self.compute_dtype)
        return Memory(values, self.project_memory(values), mask)

    def project_memory(self, memory: Any) -> Any:
        """Return what the score makes of the memory, the keys (B, S, A).

        Args:
            memory: (B, S, M).
        """
        self._check_built()
        return product(memory, tf.cast(self.memory_kernel, memory.dtype))

    def project_query(
        self, query: Any, dot: Callable[..., Any] = product
    ) -> Any:
        """Return what the score makes of queries (…, U), (…, A).

        Args:
            query: (…, U).
            dot: The product with a weight.
        """
        return query

    def get_initial_state(self, memory: Memory, rows: Any = None) -> list[Any]:
        """Return the state before the first query; of most, there is none.

        Args:
            memory: From `prepare_memory`.
            rows: Number of rows R, that of sentences by default.

        Returns:
            A list of (R, S).
        """
        if self.monotonic is None:
            return []
        shape = tf.shape(memory.values)
        rows = shape[0] if rows is None else rows
        return [self.monotonic.first(rows, shape[1], self.compute_dtype)]

    def next_state(self, state: list[Any], alignments: Any) -> list[Any]:
        """Return the state after a query.

        Args:
            state: That before it.
            alignments: Where the query looked, of the shape of the states.
        """
        return [] if self.monotonic is None else [alignments]

    def noise(self, shape: Any, memory: Memory, training: bool) -> Any:
        """Return what `attend` needs of random numbers, or None.

        Args:
            shape: A tuple, of what to draw for, such as (T, B).
            memory: From `prepare_memory`.
            training: Whether the layer is being trained.

        Returns:
            (…, S).
        """
        shape = (*shape, tf.shape(memory.values)[1])
        if self.dropout and training:
            return keras.random.dropout(
                tf.ones(shape, self.compute_dtype),
                self.dropout,
                seed=self.seed_generator,
            )
        if self.monotonic is None:
            return None
        return self.monotonic.noise(shape, self.compute_dtype, training)

    def score(self, query: Any, keys: Any, state: Sequence[Any]) -> Any:
        """Return the scores (B, K, S).

        Args:
            query: (B, K, A), from `project_query`.
            keys: (B, S, A), from `project_memory`.
            state: Each (B, K, S).
        """
        raise NotImplementedError

    def attend(
        self,
        query: Any,
        memory: Memory,
        state: Sequence[Any] = (),
        noise: Any = None,
    ) -> tuple[Any, Any]:
        """Return the context and the alignments of projected queries.

        Args:
            query: (B, K, A), from `project_query`, K for each sentence, which
                have nothing to do with each other.
            memory: From `prepare_memory`.
            state: That before each query, each (B, K, S).
            noise: (B, K, S), from `noise`, or None.
        """
        scores = self.score(query, memory.keys, state)
        alignments = self.alignments(scores, memory.mask, state, noise)
        kept = self.kept(alignments, noise)
        return tf.matmul(kept, memory.values), alignments

    def kept(self, alignments: Any, noise: Any) -> Any:
        """Return what dropout leaves of alignments.

        Args:
            alignments: (B, …, K, S).
            noise: As in `attend`.
        """
        if not self.dropout or noise is None:
            return alignments
        for _ in range(alignments.shape.rank - 3):  # All heads alike.
            noise = noise[:, tf.newaxis]
        return alignments * noise

    def alignments(
        self,
        scores: Any,
        mask: Any = None,
        state: Sequence[Any] = (),
        noise: Any = None,
    ) -> Any:
        """Return the probabilities (B, …, S) of scores of that shape.

        Args:
            scores: (B, …, S).
            mask: (B, S), boolean, or None.
            state, noise: As in `attend`.
        """
        if mask is not None:
            mask = tf.cast(mask, tf.bool)
            for _ in range(scores.shape.rank - 2):
                mask = tf.expand_dims(mask, 1)
        if self.monotonic is not None:
            return self.monotonic(scores, mask, state[-1], noise)
        if isinstance(self.probability_fn, str):
            return PROBABILITIES[self.probability_fn](scores, mask)
        return self.probability_fn(scores, mask)

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
            "dropout": self.dropout,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Attention":
        probability = config["probability_fn"]
        if not isinstance(probability, str):
            probability = keras.saving.deserialize_keras_object(probability)
        return cls(**(config | {"probability_fn": probability}))

    def _check_built(self) -> None:
        check_built(self, "`build(query_shape, memory_shape)`")

    def _attend_one(
        self, query: Any, memory: Memory, state: list[Any], noise: Any
    ) -> tuple[Any, Any]:
        """Attend with one query (B, A) for each sentence."""
        context, alignments = self.attend(
            query[:, tf.newaxis],
            memory,
            [one[:, tf.newaxis] for one in state],
            None if noise is None else noise[:, tf.newaxis],
        )
        return context[:, 0], alignments[:, 0]

    def _attend_in_turn(
        self, queries: Any, memory: Memory, state: list[Any], training: bool
    ) -> tuple[Any, Any]:
        """Attend with queries (B, T, A) that depend on the ones before."""
        shape = tf.shape(queries)
        queries = swap_batch_and_time(queries)
        noise = self.noise((shape[1], shape[0]), memory, training)

        def step(inputs: Any, state: list[Any]) -> tuple[Any, list[Any]]:
            query, *noise = inputs
            context, alignments = self._attend_one(
                query, memory, state, noise[0] if noise else None
            )
            state = self.next_state(state, alignments)
            return (context, alignments), state

        nothing = tf.reduce_sum(tf.zeros_like(memory.values), axis=1)
        (contexts, alignments), _ = recurrence(
            step,
            [sequence for sequence in (queries, noise) if sequence is not None],
            state,
            (nothing, tf.zeros_like(state[0])),
        )
        return swap_batch_and_time(contexts), swap_batch_and_time(alignments)
