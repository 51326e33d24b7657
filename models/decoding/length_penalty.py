"""How long outputs are kept from losing to short ones."""

from typing import Any

import tensorflow as tf


def length_penalty(lengths: Any, weight: float) -> Any:
    """Return what a log-probability is divided by to rank it.

        penalty = ((5 + length) / 6) ** weight

    With weight 0 hypotheses are ranked by log-probability, and short ones
    win; with weight 1 nearly by log-probability per token.

    Args:
        lengths: Integers, the number of tokens before the end token.
        weight: Usually between 0 and 1.

    Returns:
        float32, the shape of `lengths`.

    Reference:
        Wu et al. (2016), arXiv:1609.08144, equation 14.
    """
    return ((5.0 + tf.cast(lengths, tf.float32)) / 6.0) ** weight
