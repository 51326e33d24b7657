"""What decoding knows of a model: a step."""

from typing import Any, Protocol

import tensorflow as tf

from keras_recurrent.models.decoding.over_vocabulary import logsumexp


class Step(Protocol):
    """One step of a decoder, for R rows.

    R = B·K: the K hypotheses of a sentence stand next to each other. What
    belongs to a sentence and never changes, such as its memory, is no part of
    the state: the step closes over it, so it is not copied K times.
    """

    def __call__(self, ids: Any, state: Any, /) -> tuple[Any, Any, Any]:
        """Read tokens, and say what may follow.

        Args:
            ids: (R,) int32, the tokens chosen last. 0 is padding: it is fed to
                rows that have ended, whatever comes of it.
            state: A nested structure of tensors (R, …).

        Returns:
            The logits (R, V) of the tokens that may follow, with V a known
            size (log-probabilities do as well, they are their own logits); the
            alignments (R, S), where the step looked in the source, or None;
            and the new state, of the same structure and shapes.
        """


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
