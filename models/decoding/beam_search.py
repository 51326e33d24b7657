"""Beam search."""

from functools import partial
from typing import Any, NamedTuple

import tensorflow as tf

from keras_recurrent.models.decoding.backtracking import History
from keras_recurrent.models.decoding.beams import (
    Beams,
    extend,
    extend_groups,
    first_beams,
)
from keras_recurrent.models.decoding.constraints import (
    UNCONSTRAINED,
    Constraints,
)
from keras_recurrent.models.decoding.hypotheses import Hypotheses, lengths_of
from keras_recurrent.models.decoding.ranking import LengthPenalty, Ranking
from keras_recurrent.models.decoding.step import (
    Step,
    repeat_rows,
    take_step,
    with_shapes_of,
)


class _Loop(NamedTuple):
    t: Any
    """Number of steps done."""
    last: Any
    """(B·K,), the tokens chosen last."""
    state: Any
    """The state of the step, B·K rows."""
    beams: Beams
    covered: Any
    """(B·K, S), the attention so far; () where coverage does not count."""
    written: Any
    """(B·K, L), the tokens so far, then zeros; () where no rule needs them."""
    history: History


def beam_search(
    step: Step,
    state: Any,
    start_ids: Any,
    *,
    end_id: int,
    max_length: int,
    beam_width: int,
    n_best: int | None = None,
    length_penalty: LengthPenalty = 0.0,
    coverage_penalty: float = 0.0,
    source_mask: Any = None,
    num_groups: int = 1,
    diversity: float = 0.0,
    constraints: Constraints = UNCONSTRAINED,
) -> Hypotheses:
    """Keep the `beam_width` best hypotheses of each sentence at each step.

    Hypotheses are ranked by their score, see `Ranking`. One that has ended
    keeps its place until better ones push it out. The loop stops when no
    sentence has a hypothesis left that can still become one of its `n_best`,
    so the fewer are asked for, the sooner.

    With several groups the beams of each group are searched apart from the
    others, and at each step a token loses `diversity` for every time that the
    groups before have just chosen it (Vijayakumar et al. 2018, with the
    Hamming diversity). That loss is for the choice only and not part of a
    score. Groups may find the same output.

    Args:
        step: See `keras_recurrent.models.decoding`.
        state: The state before the first token, B rows.
        start_ids: (B,), the tokens to start from.
        end_id: The token that ends an output.
        max_length: Most tokens of an output, the end token included.
        beam_width: Number of hypotheses that are followed.
        n_best: Number K of hypotheses to return; all by default.
        length_penalty: See `ranking.length_penalty`.
        coverage_penalty: Weight of `ranking.coverage_penalty`.
        source_mask: (B, S), boolean, True at the source positions that
            count; for the coverage penalty.
        num_groups: Number of groups, a divisor of `beam_width`.
        diversity: Log-probability that a token loses.
        constraints: Rules for the tokens.

    Returns:
        `Hypotheses`, sorted by score. Where there are fewer than K different
        outputs, the last ones are empty with the score minus infinity.

    Raises:
        ValueError: an argument is out of its range.

    References:
        Wu et al. (2016), arXiv:1609.08144, on the penalties.
        Vijayakumar et al. (2018), arXiv:1610.02424, on the groups.
    """
    n_best = beam_width if n_best is None else n_best
    _check(max_length, beam_width, n_best, num_groups, diversity)
    ranking = Ranking(length_penalty, coverage_penalty, source_mask)
    constraints = constraints.for_rows(beam_width, max_length)
    extend_beams = extend
    if num_groups > 1:
        extend_beams = partial(
            extend_groups, groups=num_groups, diversity=diversity
        )
    # From here on K is the beam width, and R = B·K.
    sentences = tf.shape(start_ids)[0]  # B
    rows = sentences * beam_width  # R
    # Where the beams of each sentence start among the rows: (B, 1).
    firsts = beam_width * tf.range(sentences)[:, tf.newaxis]

    def by_beam(rows: Any) -> Any:
        size = rows.shape[1] or tf.shape(rows)[1]
        return tf.reshape(rows, (sentences, beam_width, size))  # (B, K, …)

    def body(loop: _Loop) -> tuple[_Loop]:
        # (R, V), (R,), (R, S), and a structure of (R, …)
        logits, excess, alignments, state = take_step(
            step, loop.last, loop.state
        )
        if not constraints.empty:
            logits = constraints.bar(logits, loop.t, loop.written, end_id)
        covered, coverage = loop.covered, None
        if coverage_penalty:
            covered += alignments  # (R, S)
            coverage = ranking.coverage(by_beam(covered))  # (B, K)
        # Each a structure of (B, K)
        beams, choice = extend_beams(
            loop.beams,
            by_beam(logits),  # (B, K, V)
            tf.reshape(excess, (sentences, beam_width)),  # (B, K)
            loop.t,
            coverage,
            end_id=end_id,
            ranking=ranking,
        )
        last = tf.reshape(choice.ids, (-1,))  # (R,)
        parents = tf.reshape(firsts + choice.parents, (-1,))  # (R,)
        # The rows of each leaf (R, …) become those of its parents.
        state, covered, written = tf.nest.map_structure(
            lambda leaf: tf.gather(leaf, parents),
            (state, covered, loop.written),
        )
        written = tf.nest.map_structure(  # (R, L)
            lambda ids: tf.where(
                tf.range(max_length) == loop.t, last[:, tf.newaxis], ids
            ),
            written,
        )
        history = loop.history.note(loop.t, choice, by_beam(alignments))
        last, state, beams, covered, written = with_shapes_of(
            (loop.last, loop.state, loop.beams, loop.covered, loop.written),
            (last, state, beams, covered, written),
        )
        return (
            _Loop(loop.t + 1, last, state, beams, covered, written, history),
        )

    (loop,) = tf.while_loop(
        # One step at least: for an empty batch too it gives arrays a shape.
        lambda loop: (
            (loop.t < 1)
            | ~tf.reduce_all(_decided(loop.beams, n_best, ranking, max_length))
        ),
        body,
        (
            _Loop(
                tf.constant(0),
                repeat_rows(tf.cast(start_ids, tf.int32), beam_width),  # (R,)
                repeat_rows(state, beam_width),  # (R, …)
                first_beams(sentences, num_groups, beam_width // num_groups),
                tf.zeros((rows, tf.shape(source_mask)[1]))
                if coverage_penalty
                else (),
                tf.zeros((rows, max_length), tf.int32)
                if constraints.no_repeat_ngram
                else (),
                History.empty(max_length),
            ),
        ),
        maximum_iterations=max_length,
    )
    scores, best = tf.math.top_k(loop.beams.scores, n_best)  # (B, N)
    log_probs = tf.gather(loop.beams.log_probs, best, batch_dims=1)  # (B, N)
    # (B, N, L), twice, and (B, N, L, S)
    ids, token_log_probs, alignments = loop.history.read(
        best, tf.math.is_finite(scores), loop.t, max_length
    )
    return Hypotheses(
        ids,
        lengths_of(ids, end_id),
        log_probs,
        scores,
        token_log_probs,
        alignments,
        tf.zeros_like(token_log_probs),
    )


def _decided(
    beams: Beams, n_best: int, ranking: Ranking, max_length: int
) -> Any:
    """Return (B,), whether the `n_best` of a sentence can change no more.

    Once they have ended and score more than any other can still reach, none
    can push them out.
    """
    ended = tf.where(beams.finished, beams.scores, -float("inf"))  # (B, K)
    worst = tf.math.top_k(ended, n_best)[0][:, -1]  # (B,)
    reach = ranking.bound(beams.log_probs, max_length)  # (B, K)
    reach = tf.reduce_max(  # (B,)
        tf.where(beams.finished, -float("inf"), reach), axis=1
    )
    return (reach < worst) | tf.math.is_inf(reach)


def _check(
    max_length: int,
    beam_width: int,
    n_best: int,
    num_groups: int,
    diversity: float,
) -> None:
    for name, value in (
        ("max_length", max_length),
        ("beam_width", beam_width),
        ("n_best", n_best),
        ("num_groups", num_groups),
    ):
        if value < 1:
            raise ValueError(
                f"`{name}` must be positive. Received: {name}={value}"
            )
    if n_best > beam_width:
        raise ValueError(
            "`n_best` must not exceed `beam_width`. "
            f"Received: n_best={n_best}, beam_width={beam_width}"
        )
    if beam_width % num_groups:
        raise ValueError(
            "`num_groups` must divide `beam_width`. "
            f"Received: num_groups={num_groups}, beam_width={beam_width}"
        )
    if diversity < 0:
        raise ValueError(
            f"`diversity` must not be negative. Received: diversity={diversity}"
        )
