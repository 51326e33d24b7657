"""Greedy decoding."""

from typing import Any

import tensorflow as tf

from keras_recurrent.models.decoding.constraints import (
    UNCONSTRAINED,
    Constraints,
)
from keras_recurrent.models.decoding.hypotheses import Hypotheses
from keras_recurrent.models.decoding.step import Step
from keras_recurrent.models.decoding.token_by_token import (
    collect,
    token_by_token,
)


def greedy_search(
    step: Step,
    state: Any,
    start_ids: Any,
    *,
    end_id: int,
    max_length: int,
    constraints: Constraints = UNCONSTRAINED,
) -> Hypotheses:
    """Take the most probable token at each step.

    The loop stops when every sentence has ended.

    Args:
        step: See `keras_recurrent.models.decoding`.
        state: The state before the first token, B rows.
        start_ids: (B,), the tokens to start from.
        end_id: The token that ends an output.
        max_length: Most tokens of an output, the end token included.
        constraints: Rules for the tokens.

    Returns:
        `Hypotheses` with K = 1.

    Raises:
        ValueError: `max_length` is not positive.
    """

    if max_length < 1:
        raise ValueError(
            f"`max_length` must be positive. Received: max_length={max_length}"
        )

    def choose(logits: Any, t: Any) -> Any:
        return tf.argmax(logits, axis=-1, output_type=tf.int32)

    found = token_by_token(
        step,
        state,
        start_ids,
        choose,
        end_id=end_id,
        max_length=max_length,
        constraints=constraints.for_rows(1, max_length),
    )
    return collect(*found, end_id=end_id)
