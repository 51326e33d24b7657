"""Training on the model's own tokens."""

from typing import Any

import tensorflow as tf

from keras_recurrent.layers.ops.recurrence import (
    recurrence,
    swap_batch_and_time,
)
from keras_recurrent.models.decoding.step import Step, with_shapes_of


def scheduled_sampling(
    step: Step, state: Any, target: Any, replaced: Any, uniform: Any
) -> Any:
    """Replace tokens of a target by what the model would have written.

        ŷ_t ~ softmax(logits of the step that has read ỹ_1 … ỹ_{t-1})
        ỹ_t = ŷ_t where replaced, y_t elsewhere

    The first token and padding stay. No gradient goes through a choice of
    tokens, so the model can be trained on ỹ afterwards by teacher forcing, at
    its speed.

    Args:
        step: See `keras_recurrent.models.decoding`.
        state: The state before the first token, B rows.
        target: (B, T), integers, 0 where padded.
        replaced: (B, T), boolean.
        uniform: (B, T), random numbers in [0, 1), which the tokens are drawn
            with.

    Returns:
        ỹ (B, T), int32.

    Reference:
        Bengio et al. (2015), arXiv:1506.03099.
    """
    target = tf.cast(target, tf.int32)
    first, labels = target[:, 0], swap_batch_and_time(target)[1:]
    replaced, uniform = (
        swap_batch_and_time(tf.convert_to_tensor(x))[1:]
        for x in (replaced, uniform)
    )

    def mix(inputs: Any, carried: Any) -> tuple[Any, Any]:
        label, replace, number = inputs
        last, state = carried
        logits, _, new = step(last, state)
        drawn = _draw(tf.cast(logits, tf.float32), number)
        token = with_shapes_of(last, tf.where(replace, drawn, label))
        return token, (token, with_shapes_of(state, new))

    mixed, _ = recurrence(
        mix,
        (labels, replaced & (labels != 0), uniform),
        (first, state),
        first,
    )
    mixed = tf.concat([first[:, tf.newaxis], tf.transpose(mixed)], axis=1)
    return tf.ensure_shape(mixed, target.shape)


def _draw(logits: Any, uniform: Any) -> Any:
    """Draw tokens (R,), never padding, by the inverse of the distribution."""
    shares = tf.math.cumsum(tf.nn.softmax(logits[:, 1:]), axis=-1)
    # Rounding may leave the last share below one.
    below = shares[:, :-1] <= uniform[:, tf.newaxis]
    return 1 + tf.math.count_nonzero(below, axis=-1, dtype=tf.int32)
