"""What decoding works with and what it returns."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

Step = Callable[[Any, Any], tuple[Any, Any, Any]]
"""(ids, state) to (log_probs, alignments, state), see this package's page."""


class Hypotheses(NamedTuple):
    """The outputs found for a batch, best first for each sentence."""

    ids: Any
    """(B, K, L) int32: the tokens with the end token, then zeros."""
    lengths: Any
    """(B, K) int32: the number of tokens before the end token."""
    log_probs: Any
    """(B, K) float32: the log-probability of the whole output."""
    scores: Any
    """(B, K) float32: what hypotheses are ranked by, the log-probability
    over the length penalty."""
    alignments: Any
    """(B, K, L, S) float32: where each token looked; zeros after the end."""


def bar_padding(log_probs: Any) -> Any:
    """Keep id 0 from being chosen: it marks what comes after the end.

    Args:
        log_probs: (…, V).
    """
    is_padding = tf.range(tf.shape(log_probs)[-1]) == 0
    return tf.where(is_padding, -float("inf"), log_probs)


def with_shapes_of(old: Any, new: Any) -> Any:
    """Give `new` the static shapes of `old`, as a loop requires.

    What a step returns has the shapes of what it got, even where TensorFlow
    cannot see it.
    """
    return tf.nest.map_structure(
        lambda old, new: tf.ensure_shape(new, old.shape), old, new
    )
