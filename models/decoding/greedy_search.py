"""Greedy decoding."""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_recurrent.models.decoding.hypotheses import (
    Hypotheses,
    Step,
    bar_padding,
    with_shapes_of,
)
from keras_recurrent.models.decoding.length_penalty import length_penalty


class _Loop(NamedTuple):
    t: Any
    """Number of steps done."""
    last: Any
    """(B,), the tokens chosen last."""
    state: Any
    """The state of the step, B rows."""
    finished: Any
    """(B,), whether the end token has been chosen."""
    log_probs: Any
    """(B,), the sum over the tokens so far."""
    ids: Any
    """Array over time of (B,)."""
    alignments: Any
    """Array over time of (B, S)."""


def greedy_search(
    step: Step,
    state: Any,
    start_ids: Any,
    *,
    end_id: int,
    max_length: int,
    length_weight: float = 0.0,
) -> Hypotheses:
    """Take the most probable token at each step.

    The loop stops when every sentence has ended.

    Args:
        step: See `keras_recurrent.models.decoding`.
        state: The state before the first token, B rows.
        start_ids: (B,), the tokens to start from.
        end_id: The token that ends an output.
        max_length: Most tokens of an output, the end token included.
        length_weight: The weight of `length_penalty` in the score; it has no
            bearing on the choice.

    Returns:
        `Hypotheses` with K = 1.
    """

    def body(loop: _Loop) -> tuple[_Loop]:
        log_probs, alignments, state = step(loop.last, loop.state)
        log_probs = bar_padding(log_probs)
        best = tf.argmax(log_probs, axis=-1, output_type=tf.int32)
        gained = tf.reduce_max(log_probs, axis=-1)
        finished = loop.finished
        ids = tf.where(finished, 0, best)
        alignments = tf.cast(alignments, tf.float32)
        return (
            _Loop(
                loop.t + 1,
                with_shapes_of(loop.last, ids),
                with_shapes_of(loop.state, state),
                finished | (ids == end_id),
                loop.log_probs + tf.where(finished, 0.0, gained),
                loop.ids.write(loop.t, ids),
                loop.alignments.write(
                    loop.t, tf.where(finished[:, tf.newaxis], 0.0, alignments)
                ),
            ),
        )

    rows = tf.shape(start_ids)[0]
    (loop,) = tf.while_loop(
        # One step at least: for an empty batch too it gives arrays a shape.
        lambda loop: (loop.t < 1) | ~tf.reduce_all(loop.finished),
        body,
        (
            _Loop(
                tf.constant(0),
                tf.cast(start_ids, tf.int32),
                state,
                tf.zeros((rows,), tf.bool),
                tf.zeros((rows,)),
                tf.TensorArray(tf.int32, max_length),
                tf.TensorArray(tf.float32, max_length),
            ),
        ),
        maximum_iterations=max_length,
    )
    ids = tf.transpose(loop.ids.stack())  # (B, L)
    lengths = tf.math.count_nonzero(
        (ids != 0) & (ids != end_id), axis=1, dtype=tf.int32
    )
    scores = loop.log_probs / length_penalty(lengths, length_weight)
    return Hypotheses(
        ids[:, tf.newaxis],
        lengths[:, tf.newaxis],
        loop.log_probs[:, tf.newaxis],
        scores[:, tf.newaxis],
        tf.transpose(loop.alignments.stack(), (1, 0, 2))[:, tf.newaxis],
    )
