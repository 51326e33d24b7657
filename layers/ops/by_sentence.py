"""Rows of several hypotheses, put together for each sentence."""

from typing import Any

import tensorflow as tf


def by_sentence(x: Any, sentences: Any) -> Any:
    """Turn rows (R, N) into (B, K, N), K next to each other for each sentence.

    Args:
        x: (R, N), R = B·K.
        sentences: The number B of sentences.
    """
    # And not -1, which cannot be resolved for an empty batch.
    per = tf.shape(x)[0] // tf.maximum(sentences, 1)
    # A known size stays known, as loops want it.
    size = x.shape[-1] or tf.shape(x)[-1]
    return tf.reshape(x, (sentences, per, size))
