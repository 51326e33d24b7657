"""The masked loss and metric against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import MaskedAccuracy, MaskedCrossentropy

B, T, V = 3, 4, 5
LABELS = np.array([[1, 2, 3, 0], [4, 0, 0, 0], [2, 2, 1, 4]])
LOGITS = np.random.default_rng(0).normal(size=(B, T, V)).astype("float32")


def token_losses(smoothing):
    log_probs = LOGITS - np.log(np.exp(LOGITS).sum(-1, keepdims=True))
    q = (1 - smoothing) * np.eye(V)[LABELS] + smoothing / V
    return -(q * log_probs).sum(-1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_loss_is_the_mean_over_real_tokens(smoothing):
    loss = MaskedCrossentropy(label_smoothing=smoothing)(LABELS, LOGITS)
    real = LABELS != 0
    expected = token_losses(smoothing)[real].mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_sample_weights_count():
    weights = np.array([[1.0], [0.0], [2.0]])
    loss = MaskedCrossentropy()(LABELS, LOGITS, sample_weight=weights)
    real = LABELS != 0
    # As in Keras: the weighted sum over the number of real tokens.
    expected = (token_losses(0.0) * weights)[real].sum() / real.sum()
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_a_batch_of_padding_costs_nothing():
    loss = MaskedCrossentropy(label_smoothing=0.1)(
        tf.zeros((B, T), tf.int32), LOGITS
    )
    assert float(loss) == 0.0


def test_half_precision_logits():
    loss = MaskedCrossentropy()(LABELS, tf.cast(LOGITS, tf.float16))
    assert abs(float(loss) - token_losses(0.0)[LABELS != 0].mean()) < 1e-2


def test_bad_label_smoothing():
    with pytest.raises(ValueError, match="label_smoothing=1.5"):
        MaskedCrossentropy(label_smoothing=1.5)


def test_accuracy_is_the_share_of_real_tokens():
    metric = MaskedAccuracy()
    right = LOGITS.argmax(-1) == LABELS
    real = LABELS != 0
    metric.update_state(LABELS[:2], LOGITS[:2])
    metric.update_state(LABELS[2:], LOGITS[2:])
    np.testing.assert_allclose(metric.result(), right[real].mean())
    metric.reset_state()
    metric.update_state(LABELS, LOGITS, sample_weight=[[1], [0], [0]])
    np.testing.assert_allclose(metric.result(), right[0][real[0]].mean())
