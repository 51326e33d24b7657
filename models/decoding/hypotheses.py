"""What decoding works with and what it returns."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from keras_recurrent.models.decoding.over_vocabulary import logsumexp

Step = Callable[[Any, Any], tuple[Any, Any, Any]]
"""(ids, state) to (logits, alignments, state), see this package's page."""


class Hypotheses(NamedTuple):
    """The outputs found for a batch.

    Search returns them best first for each sentence.
    """

    ids: Any
    """(B, K, L) int32: the tokens with the end token, then zeros."""
    lengths: Any
    """(B, K) int32: the number of tokens before the end token."""
    log_probs: Any
    """(B, K) float32: the log-probability of the whole output."""
    scores: Any
    """(B, K) float32: what hypotheses are ranked by, see `Ranking`; the
    log-probability where nothing is ranked."""
    token_log_probs: Any
    """(B, K, L) float32: the log-probability of each token; zeros after the
    end."""
    alignments: Any
    """(B, K, L, S) float32: where each token looked; zeros after the end.
    S is 0 if the step returns no alignments."""


def take_step(step: Step, ids: Any, state: Any) -> tuple[Any, Any, Any, Any]:
    """Call a step.

    A step without alignments has looked at a source of length 0.

    Returns:
        The logits (R, V), float32; what they exceed log-probabilities by
        (R,): the few that are chosen need it, not all of a vocabulary; the
        alignments (R, S) and the new state.
    """
    logits, alignments, new = step(ids, state)
    logits = tf.cast(logits, tf.float32)
    if alignments is None:
        alignments = tf.zeros((tf.shape(logits)[0], 0))
    return logits, logsumexp(logits), tf.cast(alignments, tf.float32), new


def repeat_rows(state: Any, times: Any) -> Any:
    """Repeat each row of a nested structure, copies next to each other."""
    return tf.nest.map_structure(
        lambda leaf: tf.repeat(leaf, times, axis=0), state
    )


def with_shapes_of(old: Any, new: Any) -> Any:
    """Give `new` the static shapes of `old`, as a loop requires.

    What a step returns has the shapes of what it got, even where TensorFlow
    cannot see it.
    """

    def shaped(old: Any, new: Any) -> Any:
        new.set_shape(old.shape)
        return new

    return tf.nest.map_structure(shaped, old, new)


def lengths_of(ids: Any, end_id: int) -> Any:
    """Return the number of tokens before the end token, of ids (…, L)."""
    counts = (ids != 0) & (ids != end_id)
    return tf.math.count_nonzero(counts, axis=-1, dtype=tf.int32)
