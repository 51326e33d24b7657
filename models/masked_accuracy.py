"""Accuracy over the tokens that are no padding."""

from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.models.token_weights import token_weights_of


@keras.saving.register_keras_serializable(package="keras_recurrent")
class MaskedAccuracy(keras.metrics.Mean):
    """Share of tokens predicted right, of those whose label is not 0.

    Call arguments:
        y_true: (B, T), integer labels.
        y_pred: (B, T, V), logits; or (B, T), the predicted tokens.
        sample_weight: (B,), (B, 1) or (B, T), or None.

    Raises:
        ValueError: `sample_weight` is of another shape.

    Example:

    >>> accuracy = MaskedAccuracy()
    >>> labels, predicted = tf.constant([[4, 5, 0]]), tf.constant([[4, 7, 0]])
    >>> accuracy.update_state(labels, predicted)
    >>> float(accuracy.result())
    0.5
    """

    def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)

    def update_state(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        labels = tf.cast(y_true, tf.int32)
        best = y_pred
        if len(y_pred.shape) == 3:
            best = tf.argmax(y_pred, axis=-1, output_type=tf.int32)
        # `==` loses the rank where a size is not known.
        right = tf.equal(best, labels)
        weight = tf.cast(labels != 0, self.dtype)
        if sample_weight is not None:
            weight *= token_weights_of(sample_weight, labels, self.dtype)
        # As one row: of several, Keras takes the mean of each, and sums these,
        # so that tokens would weigh the less the wider their batch is.
        right = tf.reshape(tf.cast(right, self.dtype), [-1])
        super().update_state(right, tf.reshape(weight, [-1]))
