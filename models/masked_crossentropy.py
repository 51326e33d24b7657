"""Cross-entropy over the tokens that are no padding."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_recurrent")
class MaskedCrossentropy(keras.losses.Loss):
    """Cross-entropy of the next token, averaged over the tokens of a batch.

        loss = −Σ_v q_v log softmax(logits)_v
        q    = (1 − ε)·onehot(label) + ε / V      ε: `label_smoothing`

    Tokens whose label is 0, the padding, count neither above nor below.

    Args:
        label_smoothing: ε, 0 <= ε < 1 (Szegedy et al. 2016, section 7).

    Call arguments:
        y_true: (B, T), integer labels.
        y_pred: (B, T, V), logits.

    Raises:
        ValueError: `label_smoothing` is not in [0, 1).

    Example:

    >>> loss = MaskedCrossentropy()
    >>> float(loss(tf.constant([[1, 0]]), tf.zeros((1, 2, 4))))  # log 4
    1.386...
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        name: str = "masked_crossentropy",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                "`label_smoothing` must be in [0, 1). "
                f"Received: label_smoothing={label_smoothing}"
            )
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        labels = tf.cast(y_true, tf.int32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, y_pred)
        if self.label_smoothing:
            # Against the uniform distribution the cross-entropy is
            # logsumexp(logits) − mean(logits): no (B, T, V) targets needed.
            uniform = tf.reduce_logsumexp(y_pred, -1) - tf.reduce_mean(
                y_pred, -1
            )
            losses += self.label_smoothing * (uniform - losses)
        # `Loss.__call__` averages over the positions that this mask leaves.
        losses._keras_mask = labels != 0
        return losses

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"label_smoothing": self.label_smoothing}
