"""Several models that decode as one."""

from collections.abc import Sequence
from math import log
from typing import Any

import tensorflow as tf

from keras_recurrent.models.decoding.step import Step


def ensemble(steps: Sequence[Step]) -> Step:
    """Combine steps into one whose probabilities are the mean of theirs.

        log p = logsumexp_n(log p_n) - log(N)

    computed in log space. The state of the new step is the sequence of the
    states of its members. Its alignments are the mean of the alignments of
    those members that return some.

    Args:
        steps: N steps over the same vocabulary; those that return alignments
            look at the same source.

    Raises:
        ValueError: there is none.

    Example:

    >>> def sure(ids, state):
    ...     return tf.math.log([[0.0, 0.9, 0.1]]), None, state
    >>> def undecided(ids, state):
    ...     return tf.math.log([[0.0, 0.5, 0.5]]), None, state
    >>> log_probs, _, _ = ensemble([sure, undecided])([1], ((), ()))
    >>> tf.round(tf.exp(log_probs) * 10).numpy()
    array([[0., 7., 3.]], dtype=float32)
    """
    if not steps:
        raise ValueError(f"`steps` must not be empty. Received: steps={steps}")

    def step(ids: Any, state: Any) -> tuple[Any, Any, Any]:
        logits, alignments, states = zip(
            *(
                member(ids, own)
                for member, own in zip(steps, state, strict=True)
            ),
            strict=True,
        )
        log_probs = tf.stack([tf.nn.log_softmax(own) for own in logits])
        mean = tf.reduce_logsumexp(log_probs, axis=0) - log(len(steps))
        looks = [own for own in alignments if own is not None]
        look = tf.add_n(looks) / len(looks) if looks else None
        return (
            mean,
            look,
            tf.nest.pack_sequence_as(state, tf.nest.flatten(states)),
        )

    return step
