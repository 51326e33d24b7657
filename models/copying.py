"""Next tokens that are generated or copied from the source."""

from typing import Any

import tensorflow as tf

# What logarithms are taken of at least, above the smallest float32.
_LEAST = 1e-30


def copying_logits(
    logits: Any, generating: Any, alignments: Any, copies: Any, more: int = 0
) -> Any:
    """Mix what is generated with what is copied.

        p(v) = g softmax(logits)_v + (1 − g) Σ_{s: copies_s = v} a_s
        g    = σ(generating)

    for the tokens v of the vocabulary and for `more` that are outside of it,
    which can only be copied.

    Args:
        logits: (B, T, V), float32.
        generating: (B, T), float32, the score of generating.
        alignments: (B, T, S), a.
        copies: (B, S), integers below V + `more`: which token each source
            position is, 0 where there is none to copy.
        more: How many tokens are outside of the vocabulary.

    Returns:
        log p (B, T, V + `more`), float32. They are logits: p sums to one, or
        where some of a is on positions with none to copy, to less.

    Reference:
        See et al. (2017), arXiv:1704.04368, equation 9.
    """
    alignments = tf.cast(alignments, tf.float32)
    copies = tf.cast(copies, tf.int32)
    generated = tf.nn.log_softmax(logits) + _log_sigmoid(generating)
    generated = tf.pad(
        generated, [[0, 0], [0, 0], [0, more]], constant_values=-1e9
    )
    size = generated.shape[-1]
    # Padding is looked at by no query, but may be by one without a memory.
    looked = alignments * tf.cast(copies != 0, tf.float32)[:, tf.newaxis]
    copied = _summed_by_token(looked, copies, size)
    copied = tf.math.log(tf.maximum(copied, _LEAST))
    copied += _log_sigmoid(-generating)
    # log(exp a + exp b)
    top = tf.maximum(generated, copied)
    return top + tf.math.softplus(-tf.abs(generated - copied))


def _summed_by_token(looked: Any, copies: Any, size: int) -> Any:
    """Sum alignments (B, T, S) of the same token, (B, T, size)."""
    sentences, steps, _ = tf.unstack(tf.shape(looked))
    # Source positions become rows: one scattering for all time steps.
    by_position = tf.transpose(looked, (0, 2, 1))  # (B, S, T)
    rows = tf.range(sentences)[:, tf.newaxis] * size + copies  # (B, S)
    summed = tf.math.unsorted_segment_sum(
        tf.reshape(by_position, (-1, steps)),
        tf.reshape(rows, (-1,)),
        sentences * size,
    )
    return tf.transpose(tf.reshape(summed, (sentences, size, steps)), (0, 2, 1))


def _log_sigmoid(scores: Any) -> Any:
    return -tf.math.softplus(-tf.cast(scores, tf.float32))[..., tf.newaxis]
