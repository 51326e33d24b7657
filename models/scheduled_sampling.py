"""Training on the model's own tokens."""

from typing import Any

import tensorflow as tf

from keras_recurrent.models.decoding.hypotheses import Step, with_shapes_of


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
    # The time step in front, as it is what the loop takes apart.
    labels, replaced, uniform = (
        tf.transpose(x) for x in (target, replaced, uniform)
    )
    replaced = replaced & (labels != 0)
    time = tf.shape(labels)[0]

    def body(t: Any, last: Any, state: Any, ids: Any) -> tuple:
        logits, _, new = step(last, state)
        drawn = _draw(tf.cast(logits, tf.float32), uniform[t])
        token = with_shapes_of(last, tf.where(replaced[t], drawn, labels[t]))
        return t + 1, token, with_shapes_of(state, new), ids.write(t, token)

    ids = tf.TensorArray(tf.int32, time, element_shape=labels.shape[1:])
    *_, ids = tf.while_loop(
        lambda t, *_: t < time,
        body,
        (tf.constant(1), labels[0], state, ids.write(0, labels[0])),
        maximum_iterations=time,
    )
    return tf.ensure_shape(tf.transpose(ids.stack()), target.shape)


def _draw(logits: Any, uniform: Any) -> Any:
    """Draw tokens (R,), never padding, by the inverse of the distribution."""
    shares = tf.math.cumsum(tf.nn.softmax(logits[:, 1:]), axis=-1)
    # Rounding may leave the last share below one.
    below = shares[:, :-1] <= uniform[:, tf.newaxis]
    return 1 + tf.math.count_nonzero(below, axis=-1, dtype=tf.int32)
