"""The masked loss and metric against NumPy.

Tests `masked_accuracy.py` and `masked_crossentropy.py`.
"""

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


# What is left by the flags of `tfa.seq2seq.SequenceLoss`, from its source.
CHOICES = {
    "average_across_timesteps, average_across_batch": (
        {"reduction": "mean_with_sample_weight"},
        lambda losses, w: (losses * w).sum() / w.sum(),
    ),
    "sum_over_timesteps, sum_over_batch": (
        {"reduction": "sum_over_batch_size"},
        lambda losses, w: (losses * w).sum() / np.count_nonzero(w),
    ),
    "sum_over_timesteps": (
        {"average_over": "time", "reduction": None},
        lambda losses, w: (losses * w).sum(1) / np.count_nonzero(w, 1),
    ),
    "sum_over_batch": (
        {"average_over": "batch", "reduction": None},
        lambda losses, w: (losses * w).sum(0) / np.count_nonzero(w, 0),
    ),
    "no flag": ({"reduction": None}, lambda losses, w: losses * w),
    # The mean and the sum of what it leaves as a vector.
    "average_across_timesteps, mean": (
        {"average_over": "time", "reduction": "mean_with_sample_weight"},
        lambda losses, w: ((losses * w).sum(1) / w.sum(1)).mean(),
    ),
    "average_across_batch, mean": (
        {"average_over": "batch", "reduction": "mean_with_sample_weight"},
        lambda losses, w: ((losses * w).sum(0) / w.sum(0)).mean(),
    ),
    "sum_over_batch, sum": (
        {"average_over": "batch", "reduction": "sum"},
        lambda losses, w: ((losses * w).sum(0) / np.count_nonzero(w, 0)).sum(),
    ),
}


@pytest.mark.parametrize("flags", CHOICES)
def test_averaging_choices(flags):
    arguments, formula = CHOICES[flags]
    weights = np.random.default_rng(1).uniform(0.5, 2.0, LABELS.shape)
    loss = MaskedCrossentropy(**arguments)(LABELS, LOGITS, weights)
    expected = formula(token_losses(0.0), weights * (LABELS != 0))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    clone = MaskedCrossentropy.from_config(
        MaskedCrossentropy(**arguments).get_config()
    )
    np.testing.assert_array_equal(clone(LABELS, LOGITS, weights), loss)


@pytest.mark.parametrize("average_over", ["tokens", "time", "batch"])
def test_padding_has_no_influence(average_over):
    loss = MaskedCrossentropy(average_over=average_over)
    longer = np.pad(LABELS, [[0, 2], [0, 3]])
    logits = np.pad(LOGITS, [[0, 2], [0, 3], [0, 0]])
    np.testing.assert_allclose(
        loss(longer, logits), loss(LABELS, LOGITS), rtol=1e-6
    )
    assert float(loss(tf.zeros((B, T), tf.int32), LOGITS)) == 0.0


def test_half_precision_logits():
    loss = MaskedCrossentropy()(LABELS, tf.cast(LOGITS, tf.float16))
    assert abs(float(loss) - token_losses(0.0)[LABELS != 0].mean()) < 1e-2


def test_bad_arguments():
    with pytest.raises(ValueError, match="label_smoothing=1.5"):
        MaskedCrossentropy(label_smoothing=1.5)
    with pytest.raises(ValueError, match="average_over='mean'"):
        MaskedCrossentropy(average_over="mean")


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


def test_accuracy_counts_tokens_alike_in_batches_of_any_width():
    metric = MaskedAccuracy()
    metric.update_state(
        tf.constant([[1, 2, 0, 0, 0]]), tf.constant([[1, 1, 1, 1, 1]])
    )
    metric.update_state(tf.constant([[3], [4]]), tf.constant([[3], [4]]))
    assert float(metric.count) == 4  # tokens
    assert float(metric.result()) == 3 / 4


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 4)])
def test_accuracy_weighs_sentences_and_tokens(shape):
    weights = np.zeros(shape)
    weights[0] = 1.0
    metric = MaskedAccuracy()
    predictions = np.where(np.arange(B)[:, None] == 0, LABELS, 0)
    # Only the first sentence counts, and of that all is right.
    metric.update_state(LABELS, predictions, sample_weight=weights)
    assert float(metric.result()) == 1.0


@pytest.mark.parametrize("shape", [(4,), (3, 2), (3, 4, 1), ()])
def test_weights_of_other_shapes(shape):
    for use in (MaskedAccuracy().update_state, MaskedCrossentropy()):
        with pytest.raises(ValueError, match="sample_weight"):
            use(LABELS, LOGITS, sample_weight=np.ones(shape))
