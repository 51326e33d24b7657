"""Beam search."""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_recurrent.models.decoding.hypotheses import (
    Hypotheses,
    Step,
    bar_padding,
    with_shapes_of,
)
from keras_recurrent.models.decoding.length_penalty import length_penalty


class _Beams(NamedTuple):
    """The K hypotheses of each sentence, best first."""

    log_probs: Any
    """(B, K) float32."""
    lengths: Any
    """(B, K) int32, tokens before the end token."""
    finished: Any
    """(B, K) bool, whether the end token has been chosen."""


class _Loop(NamedTuple):
    t: Any
    """Number of steps done."""
    last: Any
    """(B·K,), the tokens chosen last."""
    state: Any
    """The state of the step, B·K rows."""
    beams: _Beams
    history: "_History"


class _History(NamedTuple):
    """Arrays over time, from which hypotheses are read back at the end."""

    ids: Any
    """(B, K), the token that each beam got at this step."""
    parents: Any
    """(B, K), the beam of the step before that it continues."""
    alignments: Any
    """(B, K, S), where each beam of the step before looked."""


def beam_search(
    step: Step,
    state: Any,
    start_ids: Any,
    *,
    end_id: int,
    max_length: int,
    beam_width: int,
    length_weight: float = 0.0,
) -> Hypotheses:
    """Keep the `beam_width` best hypotheses of each sentence at each step.

    Hypotheses are ranked by log-probability over `length_penalty`. One that
    has ended keeps its place until better ones push it out. The loop stops
    when all hypotheses of all sentences have ended.

    Args:
        step: See `keras_recurrent.models.decoding`.
        state: The state before the first token, B rows.
        start_ids: (B,), the tokens to start from.
        end_id: The token that ends an output.
        max_length: Most tokens of an output, the end token included.
        beam_width: Number K of hypotheses.
        length_weight: The weight of `length_penalty`.

    Returns:
        `Hypotheses`, sorted by score. Where there are fewer than K different
        outputs, the last ones have the score minus infinity.
    """
    sentences = tf.shape(start_ids)[0]

    def body(loop: _Loop) -> tuple[_Loop]:
        log_probs, alignments, state = step(loop.last, loop.state)
        beams, ids, parents = _extend(
            loop.beams,
            tf.reshape(log_probs, (sentences, beam_width, log_probs.shape[-1])),
            end_id,
            length_weight,
        )
        # Row of each parent among the B·K rows of the state.
        rows = tf.reshape(
            parents + beam_width * tf.range(sentences)[:, tf.newaxis], (-1,)
        )
        alignments = tf.cast(alignments, tf.float32)
        steps = tf.shape(alignments)[1]
        history = _History(
            loop.history.ids.write(loop.t, ids),
            loop.history.parents.write(loop.t, parents),
            loop.history.alignments.write(
                loop.t, tf.reshape(alignments, (sentences, beam_width, steps))
            ),
        )
        state = tf.nest.map_structure(lambda leaf: tf.gather(leaf, rows), state)
        last, state, beams = with_shapes_of(
            (loop.last, loop.state, loop.beams),
            (tf.reshape(ids, (-1,)), state, beams),
        )
        return (_Loop(loop.t + 1, last, state, beams, history),)

    (loop,) = tf.while_loop(
        # One step at least: for an empty batch too it gives arrays a shape.
        lambda loop: (loop.t < 1) | ~tf.reduce_all(loop.beams.finished),
        body,
        (
            _Loop(
                tf.constant(0),
                tf.repeat(tf.cast(start_ids, tf.int32), beam_width),
                tf.nest.map_structure(
                    lambda leaf: tf.repeat(leaf, beam_width, axis=0), state
                ),
                _first_beams(sentences, beam_width),
                _History(
                    tf.TensorArray(tf.int32, max_length),
                    tf.TensorArray(tf.int32, max_length),
                    tf.TensorArray(tf.float32, max_length),
                ),
            ),
        ),
        maximum_iterations=max_length,
    )
    beams = loop.beams
    ids, alignments = _read_back(loop.history, loop.t, max_length)
    return Hypotheses(
        ids,
        beams.lengths,
        beams.log_probs,
        beams.log_probs / length_penalty(beams.lengths, length_weight),
        alignments,
    )


def _first_beams(sentences: Any, beam_width: int) -> _Beams:
    # All beams start alike, so all but one are barred from the first choice.
    first = tf.one_hot(0, beam_width, on_value=0.0, off_value=-float("inf"))
    shape = (sentences, beam_width)
    return _Beams(
        tf.broadcast_to(first, shape),
        tf.zeros(shape, tf.int32),
        tf.zeros(shape, tf.bool),
    )


def _extend(
    beams: _Beams, log_probs: Any, end_id: int, length_weight: float
) -> tuple[_Beams, Any, Any]:
    """Choose the best K of the K·V ways to go on.

    Args:
        beams: The hypotheses so far.
        log_probs: (B, K, V), of the next token.
        end_id: The token that ends an output.
        length_weight: The weight of `length_penalty`.

    Returns:
        The new hypotheses, their last tokens (B, K) and the beams that they
        continue (B, K).
    """
    width, vocabulary = log_probs.shape[1:]
    # A hypothesis that has ended goes on in one way: padding, at no cost.
    padding = tf.one_hot(0, vocabulary, 0.0, -float("inf"))
    log_probs = tf.where(
        beams.finished[..., tf.newaxis], padding, bar_padding(log_probs)
    )
    totals = beams.log_probs[..., tf.newaxis] + log_probs
    grows = ~beams.finished[..., tf.newaxis] & (tf.range(vocabulary) != end_id)
    lengths = beams.lengths[..., tf.newaxis] + tf.cast(grows, tf.int32)
    scores = totals / length_penalty(lengths, length_weight)

    def flat(candidates: Any) -> Any:
        return tf.reshape(candidates, (-1, width * vocabulary))

    _, best = tf.math.top_k(flat(scores), width)  # (B, K)
    ids, parents = best % vocabulary, best // vocabulary
    return (
        _Beams(
            tf.gather(flat(totals), best, batch_dims=1),
            tf.gather(flat(lengths), best, batch_dims=1),
            tf.gather(beams.finished, parents, batch_dims=1) | (ids == end_id),
        ),
        ids,
        parents,
    )


def _read_back(
    history: _History, steps: Any, max_length: int
) -> tuple[Any, Any]:
    """Follow the parents from the last step to the first.

    Returns:
        The tokens (B, K, L) and their alignments (B, K, L, S).
    """
    ids, parents = history.ids.stack(), history.parents.stack()
    looks = history.alignments.stack()  # (L, B, K, S)
    sentences, width = tf.shape(ids)[1], tf.shape(ids)[2]

    def body(t: Any, beams: Any, out_ids: Any, out_looks: Any) -> tuple:
        chosen = tf.gather(ids[t], beams, batch_dims=1)
        beams = with_shapes_of(
            beams, tf.gather(parents[t], beams, batch_dims=1)
        )
        look = tf.gather(looks[t], beams, batch_dims=1)
        look = tf.where((chosen != 0)[..., tf.newaxis], look, 0.0)
        return t - 1, beams, out_ids.write(t, chosen), out_looks.write(t, look)

    _, _, out_ids, out_looks = tf.while_loop(
        lambda t, *_: t >= 0,
        body,
        (
            steps - 1,
            tf.broadcast_to(tf.range(width), (sentences, width)),
            tf.TensorArray(tf.int32, max_length),
            tf.TensorArray(tf.float32, max_length),
        ),
        maximum_iterations=max_length,
    )
    return (
        tf.transpose(out_ids.stack(), (1, 2, 0)),
        tf.transpose(out_looks.stack(), (1, 2, 0, 3)),
    )
