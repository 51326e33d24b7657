"""The loop of decoders that choose one token for each row at each step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from keras_recurrent.models.decoding.constraints import Constraints
from keras_recurrent.models.decoding.hypotheses import Hypotheses, lengths_of
from keras_recurrent.models.decoding.step import Step, take_step, with_shapes_of

Choose = Callable[[Any, Any], Any]
"""(logits (R, V), number of tokens so far) to tokens (R,)."""


class _Loop(NamedTuple):
    t: Any
    """Number of steps done."""
    last: Any
    """(R,), the tokens chosen last."""
    state: Any
    """The state of the step, R rows."""
    finished: Any
    """(R,), whether the end token has been chosen."""
    ids: Any
    """(R, L), the tokens so far, then zeros."""
    token_log_probs: Any
    """Array over time of (R,)."""
    alignments: Any
    """Array over time of (R, S)."""


def token_by_token(
    step: Step,
    state: Any,
    start_ids: Any,
    choose: Choose,
    *,
    end_id: int,
    max_length: Any,
    constraints: Constraints | None,
) -> tuple[Any, Any, Any]:
    """Choose a token, feed it back, and so on until every row has ended.

    Args:
        step: See `keras_recurrent.models.decoding`.
        state: The state before the first token, R rows.
        start_ids: (R,), the tokens to start from.
        choose: Chooses the next tokens. A row whose token is padding ends.
        end_id: The token that ends an output.
        max_length: Most tokens of an output, the end token included.
        constraints: Rules for the tokens, already `for_rows`; with None all
            tokens can be chosen, padding too.

    Returns:
        The tokens (R, L), their log-probabilities (R, L) and their alignments
        (R, L, S).
    """
    rows = tf.shape(start_ids)[0]

    def body(loop: _Loop) -> tuple[_Loop]:
        logits, excess, alignments, state = take_step(
            step, loop.last, loop.state
        )
        if constraints is not None:
            logits = constraints.bar(logits, loop.t, loop.ids, end_id)
        finished = loop.finished
        ids = tf.where(finished, 0, choose(logits, loop.t))
        gained = tf.gather(logits, ids, batch_dims=1) - excess
        looked = tf.where((ids == 0)[:, tf.newaxis], 0.0, alignments)
        is_now = tf.range(max_length) == loop.t
        return (
            _Loop(
                loop.t + 1,
                with_shapes_of(loop.last, ids),
                with_shapes_of(loop.state, state),
                finished | (ids == end_id) | (ids == 0),
                tf.where(is_now, ids[:, tf.newaxis], loop.ids),
                loop.token_log_probs.write(
                    loop.t, tf.where(finished, 0.0, gained)
                ),
                loop.alignments.write(loop.t, looked),
            ),
        )

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
                tf.zeros((rows, max_length), tf.int32),
                tf.TensorArray(tf.float32, max_length),
                tf.TensorArray(tf.float32, max_length),
            ),
        ),
        maximum_iterations=max_length,
    )
    return (
        loop.ids,
        tf.transpose(loop.token_log_probs.stack()),
        tf.transpose(loop.alignments.stack(), (1, 0, 2)),
    )


def collect(
    ids: Any,
    token_log_probs: Any,
    alignments: Any,
    *,
    end_id: int,
    per_sentence: Any = 1,
) -> Hypotheses:
    """Return rows as `Hypotheses`, `per_sentence` of them for each."""

    def split(rows: Any) -> Any:
        shape = tf.shape(rows)
        sentences = shape[0] // per_sentence
        return tf.reshape(
            rows, tf.concat([[sentences, per_sentence], shape[1:]], 0)
        )

    log_probs = tf.reduce_sum(token_log_probs, axis=1)
    return Hypotheses(
        *(
            split(rows)
            for rows in (
                ids,
                lengths_of(ids, end_id),
                log_probs,
                log_probs,
                token_log_probs,
                alignments,
                tf.zeros_like(token_log_probs),
            )
        )
    )
