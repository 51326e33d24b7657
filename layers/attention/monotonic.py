"""Alignments that never look back."""

from typing import Any, Literal, get_args

import keras
import tensorflow as tf

from keras_recurrent.layers.ops.linear_scan import linear_scan

Mode = Literal["parallel", "recursive", "hard"]

# Bounds of what logarithms and quotients are taken of, as published.
_LEAST_PASSED = 1.1754944e-38  # the smallest normal float32
_LEAST_PRODUCT = 1e-10


@keras.saving.register_keras_serializable(package="keras_recurrent")
class Monotonic(keras.Layer):
    """The probability of stopping at each position, from left to right.

        p_s  = σ(e_s + r + noise)                      probability to stop at s
        q_s  = (1 − p_{s−1}) q_{s−1} + α'_s            … to come to s
        α_s  = p_s q_s                                 alignments

    where e are the scores, r is a learned bias and α' are the alignments of
    the query before, which for the first one are 1 at the first position.
    The alignments may sum to less than one: what is left has come to the end
    without stopping.

    Args:
        mode: "recursive" computes the equations as they stand. "parallel"
            (as published) divides by products of 1 − p, which is not exact
            where they become tiny. "hard" stops at the first position with
            e_s + r > 0 from where it stood; it has no gradient and is meant
            for inference.
        sigmoid_noise: Standard deviation of Gaussian noise, which drives p
            to 0 and 1. In training only.
        score_bias_init: The initial r.
        seed: Seed for the noise.

    Call arguments:
        scores: (…, S).
        mask: Boolean, broadcastable to the scores, or None. A masked position
            is never stopped at.
        previous: (…, S), the alignments of the query before.
        noise: (…, S), from `noise`, or None.

    Returns:
        The alignments (…, S).

    Raises:
        ValueError: `mode` is not one of the three, or `sigmoid_noise` is
            negative.

    Reference:
        Raffel et al. (2017), arXiv:1704.00784, section 2 and appendix G.

    Example:

    >>> probability = Monotonic("hard")
    >>> scores = tf.constant([[-1.0, 2.0, -1.0, 3.0]])
    >>> first = probability.first(rows=1, steps=4, dtype="float32")
    >>> probability(scores, None, previous=first).numpy().tolist()
    [[0.0, 1.0, 0.0, 0.0]]
    """

    def __init__(
        self,
        mode: Mode = "parallel",
        sigmoid_noise: float = 0.0,
        score_bias_init: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        # Scores come in the dtype of the attention, and go back in it.
        super().__init__(autocast=False, **kwargs)
        if mode not in get_args(Mode):
            raise ValueError(
                f"`mode` must be one of {', '.join(get_args(Mode))}. "
                f"Received: mode={mode!r}"
            )
        if sigmoid_noise < 0:
            raise ValueError(
                "`sigmoid_noise` must not be negative. "
                f"Received: sigmoid_noise={sigmoid_noise}"
            )
        self.mode = mode
        self.sigmoid_noise = sigmoid_noise
        self.score_bias_init = score_bias_init
        self.seed = seed
        if sigmoid_noise:
            self.seed_generator = keras.random.SeedGenerator(seed)
        self.stop_bias = self.add_weight(
            shape=(),
            name="stop_bias",
            initializer=keras.initializers.Constant(score_bias_init),
        )
        self.built = True

    def call(
        self, scores: Any, mask: Any, previous: Any, noise: Any = None
    ) -> Any:
        dtype = scores.dtype
        scores = tf.cast(scores, tf.float32)
        previous = tf.cast(previous, tf.float32)
        scores = scores + tf.cast(self.stop_bias, tf.float32)
        if noise is not None:
            scores = scores + tf.cast(noise, tf.float32)
        if self.mode == "hard":
            stop = tf.cast(scores > 0, tf.float32)
        else:
            stop = tf.sigmoid(scores)
        if mask is not None:
            stop = tf.where(mask, stop, 0.0)
        return tf.cast(_alignments(stop, previous, self.mode), dtype)

    def first(self, rows: Any, steps: Any, dtype: Any) -> Any:
        """Return what stands for the alignments before the first query.

        Returns:
            (R, S), all of the probability at the first position.
        """
        return tf.one_hot(tf.zeros((rows,), tf.int32), steps, dtype=dtype)

    def noise(self, shape: Any, dtype: Any, training: bool) -> Any:
        """Draw the noise, or return None if there is none."""
        if not (training and self.sigmoid_noise):
            return None
        return keras.random.normal(
            shape,
            stddev=self.sigmoid_noise,
            dtype=dtype,
            seed=self.seed_generator,
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "mode": self.mode,
            "sigmoid_noise": self.sigmoid_noise,
            "score_bias_init": self.score_bias_init,
            "seed": self.seed,
        }


def _alignments(stop: Any, previous: Any, mode: Mode) -> Any:
    """Return α (…, S) of p and of α'."""
    if mode == "recursive":
        # Over positions, the last axis, rather than over time. What is before
        # the first one has no bearing.
        passed = 1 - tf.concat([stop[..., :1], stop[..., :-1]], axis=-1)
        come = linear_scan(
            _positions_first(passed),
            _positions_first(previous),
            tf.zeros_like(tf.reduce_sum(previous, axis=-1)),
        )
        return stop * _positions_last(come)
    if mode == "hard":
        # Only from where it stood.
        stop = stop * tf.cumsum(previous, axis=-1)
        return stop * tf.math.cumprod(1 - stop, axis=-1, exclusive=True)
    # Products as sums of logarithms, whose gradient is defined at zero.
    passed = tf.cumsum(
        tf.math.log(tf.clip_by_value(1 - stop, _LEAST_PASSED, 1.0)),
        axis=-1,
        exclusive=True,
    )
    passed = tf.exp(passed)
    ratios = previous / tf.clip_by_value(passed, _LEAST_PRODUCT, 1.0)
    return stop * passed * tf.cumsum(ratios, axis=-1)


def _positions_first(x: Any) -> Any:
    return tf.transpose(x, (x.shape.rank - 1, *range(x.shape.rank - 1)))


def _positions_last(x: Any) -> Any:
    return tf.transpose(x, (*range(1, x.shape.rank), 0))
