"""How probable a given output is."""

from typing import Any

import tensorflow as tf

from keras_recurrent.models.decoding.hypotheses import Hypotheses
from keras_recurrent.models.decoding.step import Step, repeat_rows
from keras_recurrent.models.decoding.token_by_token import (
    collect,
    token_by_token,
)


def score_target(
    step: Step, state: Any, start_ids: Any, target: Any, *, end_id: int
) -> Hypotheses:
    """Score given outputs by teacher forcing.

    Args:
        step: See `keras_recurrent.models.decoding`.
        state: The state before the first token, B rows.
        start_ids: (B,), the tokens to start from.
        target: (B, L), integers, 0 where padded at the right, with the end
            token where the output ends; or (B, K, L), several for each
            sentence, such as the `ids` of `Hypotheses`.
        end_id: The token that ends an output.

    Returns:
        `Hypotheses` of the targets, in their order; K = 1 for (B, L). Their
        scores are their log-probabilities.
    """
    target = tf.cast(target, tf.int32)
    if target.shape.rank == 2:
        target = target[:, tf.newaxis]
    sentences, each, length = tf.unstack(tf.shape(target))
    rows = tf.reshape(target, (sentences * each, length))
    ids, token_log_probs, alignments = token_by_token(
        step,
        repeat_rows(state, each),
        repeat_rows(start_ids, each),
        lambda logits, t: rows[:, t],
        end_id=end_id,
        max_length=length,
        constraints=None,
    )
    token_log_probs = tf.where(ids != 0, token_log_probs, 0.0)
    return collect(
        ids, token_log_probs, alignments, end_id=end_id, per_sentence=each
    )
