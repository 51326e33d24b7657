"""Cross-entropy over the tokens that are no padding."""

from typing import Any, Literal, get_args

import keras
import tensorflow as tf

from keras_recurrent.models.replicas import sum_over_replicas
from keras_recurrent.models.token_weights import token_weights_of

AverageOver = Literal["tokens", "time", "batch"]
# Reductions that divide.
_MEANS = ("mean", "mean_with_sample_weight", "sum_over_batch_size")


@keras.saving.register_keras_serializable(package="keras_recurrent")
class MaskedCrossentropy(keras.losses.Loss):
    """Cross-entropy of the next token, averaged over the tokens of a batch.

        loss = −Σ_v q_v log softmax(logits)_v
        q    = (1 − ε)·onehot(label) + ε / V      ε: `label_smoothing`

    Tokens whose label is 0, the padding, count neither above nor below. The
    batch is that of all replicas, if a strategy of `tf.distribute` has several.

    Args:
        label_smoothing: ε, 0 <= ε < 1 (Szegedy et al. 2016, section 7).
        average_over: "tokens": over all of the batch at once. "time": over the
            tokens of each sentence first, so that long and short ones count
            alike. "batch": over each time step first.
        reduction: What Keras's losses know; of the sentences or time steps
            that have any token, if it is averaged over them first.
            "sum_over_batch_size" divides by the number of tokens,
            "mean_with_sample_weight" by the sum of their weights; "sum" does
            not divide (what is averaged first is divided by the number of
            tokens); None returns (B, T), (B,) or (T,).

    Call arguments:
        y_true: (B, T), integer labels.
        y_pred: (B, T, V), logits.
        sample_weight: (B,), (B, 1) or (B, T), or None.

    Raises:
        ValueError: `label_smoothing` is not in [0, 1), `average_over` is not
            one of the three, or `sample_weight` is of another shape.

    Example:

    >>> loss = MaskedCrossentropy()
    >>> float(loss(tf.constant([[1, 0]]), tf.zeros((1, 2, 4))))  # log 4
    1.386...
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        average_over: AverageOver = "tokens",
        name: str = "masked_crossentropy",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                "`label_smoothing` must be in [0, 1). "
                f"Received: label_smoothing={label_smoothing}"
            )
        if average_over not in get_args(AverageOver):
            raise ValueError(
                "`average_over` must be one of "
                f"{', '.join(get_args(AverageOver))}. "
                f"Received: average_over={average_over!r}"
            )
        self.label_smoothing = label_smoothing
        self.average_over = average_over

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        y_pred = tf.cast(y_pred, self.dtype)
        losses = self.call(y_true, y_pred)
        losses *= self.token_weights(y_true, sample_weight)
        if self.reduction not in (None, "none"):
            return tf.reduce_sum(losses)
        if self.average_over == "tokens":
            return losses
        return tf.reduce_sum(losses, axis=self._axis)

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
        return losses

    def token_weights(self, y_true: Any, sample_weight: Any = None) -> Any:
        """Return (B, T), the weight with which each token is in the loss.

        Args:
            y_true, sample_weight: As in a call.
        """
        y_true = tf.convert_to_tensor(y_true)
        real = tf.cast(y_true != 0, self.dtype)
        weights = real
        if sample_weight is not None:
            weights *= token_weights_of(sample_weight, y_true, self.dtype)
        weighted = self.reduction == "mean_with_sample_weight"
        mean = self.reduction in _MEANS
        divisor: Any = 1.0
        if self.average_over != "tokens":
            count = tf.reduce_sum(
                weights if weighted else real, self._axis, keepdims=True
            )
            if self.average_over == "batch":
                count = sum_over_replicas(count)
            weights = tf.math.divide_no_nan(weights, count)
            divisor = tf.math.count_nonzero(count, dtype=self.dtype)
        elif mean:
            divisor = self.weight_of_batch(y_true, sample_weight)
        if mean:
            # Keras sums the losses of the replicas.
            if self.average_over != "batch":
                divisor = sum_over_replicas(divisor)
            weights = tf.math.divide_no_nan(weights, divisor)
        return weights

    def weight_of_batch(self, y_true: Any, sample_weight: Any = None) -> Any:
        """Return what the loss of a batch is a mean over, in all, if of tokens.

        That is their number, or the sum of their weights; None for others.

        Args:
            y_true, sample_weight: As in a call.
        """
        if self.average_over != "tokens" or self.reduction not in _MEANS:
            return None
        real = tf.cast(tf.convert_to_tensor(y_true) != 0, self.dtype)
        if self.reduction == "mean_with_sample_weight" and (
            sample_weight is not None
        ):
            real *= token_weights_of(sample_weight, y_true, self.dtype)
        return tf.reduce_sum(real)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "label_smoothing": self.label_smoothing,
            "average_over": self.average_over,
        }

    @property
    def _axis(self) -> int:
        """The axis that is averaged over first."""
        return 1 if self.average_over == "time" else 0
