"""Decoding by drawing tokens at random."""

from typing import Any

import tensorflow as tf

from keras_recurrent.models.decoding.constraints import (
    UNCONSTRAINED,
    Constraints,
)
from keras_recurrent.models.decoding.hypotheses import Hypotheses
from keras_recurrent.models.decoding.step import Step, repeat_rows
from keras_recurrent.models.decoding.token_by_token import (
    collect,
    token_by_token,
)


def sample(
    step: Step,
    state: Any,
    start_ids: Any,
    *,
    end_id: int,
    max_length: int,
    seed: Any,
    num_samples: int = 1,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    constraints: Constraints = UNCONSTRAINED,
) -> Hypotheses:
    """Draw outputs token by token from the model's distribution.

    The distribution is that of logits / temperature, cut to the `top_k` most
    probable tokens, and of these to the fewest that make up the share `top_p`
    (the nucleus). The same seed draws the same outputs, eagerly, in a graph
    and under XLA.

    Args:
        step: See `keras_recurrent.models.decoding`.
        state: The state before the first token, B rows.
        start_ids: (B,), the tokens to start from.
        end_id: The token that ends an output.
        max_length: Most tokens of an output, the end token included.
        seed: Integer, or a scalar tensor of one.
        num_samples: Number K of outputs for each sentence, drawn
            independently of each other.
        temperature: Below 1 the probable tokens become more probable.
        top_k: Number of tokens to draw from; None draws from all.
        top_p: Share of the probability to draw from, above 0.
        constraints: Rules for the tokens.

    Returns:
        `Hypotheses` in the order in which they were drawn. Log-probabilities
        are the model's own, whatever the temperature and the cuts.

    Raises:
        ValueError: an argument is out of its range.

    Reference:
        Holtzman et al. (2020), arXiv:1904.09751, on the nucleus.
    """
    for name, value, valid in (
        ("max_length", max_length, max_length > 0),
        ("num_samples", num_samples, num_samples > 0),
        ("temperature", temperature, temperature > 0),
        ("top_k", top_k, top_k is None or top_k > 0),
        ("top_p", top_p, 0 < top_p <= 1),
    ):
        if not valid:
            bound = " and at most 1" if name == "top_p" else ""
            raise ValueError(
                f"`{name}` must be positive{bound}. Received: {name}={value}"
            )

    def choose(logits: Any, t: Any) -> Any:
        logits = logits / temperature
        candidates = None
        if top_k is not None or top_p < 1:
            size = logits.shape[-1]
            logits, candidates = tf.math.top_k(logits, min(top_k or size, size))
        if top_p < 1:
            probs = tf.nn.softmax(logits)
            before = tf.cumsum(probs, axis=-1, exclusive=True)
            logits = tf.where(before < top_p, logits, -float("inf"))
        # The largest of logits + Gumbel noise is distributed as their softmax.
        noise = _gumbel(tf.shape(logits), tf.stack([seed, t]))
        chosen = tf.argmax(logits + noise, axis=-1, output_type=tf.int32)
        if candidates is None:
            return chosen
        return tf.gather(candidates, chosen, batch_dims=1)

    seed = tf.cast(seed, tf.int32)
    drawn = token_by_token(
        step,
        repeat_rows(state, num_samples),
        repeat_rows(start_ids, num_samples),
        choose,
        end_id=end_id,
        max_length=max_length,
        constraints=constraints.for_rows(num_samples, max_length),
    )
    return collect(*drawn, end_id=end_id, per_sentence=num_samples)


def _gumbel(shape: Any, seed: Any) -> Any:
    # XLA makes other floats than TensorFlow of the same random bits, so the
    # bits are drawn and made floats between 0 and 1 here.
    bits = tf.random.stateless_uniform(
        shape, seed, None, None, tf.uint32, alg="philox"
    )
    upper = tf.cast(
        tf.bitwise.right_shift(bits, tf.constant(9, tf.uint32)), tf.float32
    )
    uniform = (upper + 0.5) * 2.0**-23
    return -tf.math.log(-tf.math.log(uniform))
