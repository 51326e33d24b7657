"""How the beams of a sentence go on by one token."""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_recurrent.models.decoding.over_vocabulary import top_k
from keras_recurrent.models.decoding.ranking import Ranking


class Beams(NamedTuple):
    """The K hypotheses of each sentence."""

    log_probs: Any
    """(B, K) float32; minus infinity where there is no hypothesis."""
    scores: Any
    """(B, K) float32, what they are ranked by."""
    finished: Any
    """(B, K) bool, whether the end token has been chosen."""


class Choice(NamedTuple):
    """The last token of each beam."""

    ids: Any
    """(B, K) int32."""
    parents: Any
    """(B, K) int32, the beams that they continue."""
    log_probs: Any
    """(B, K) float32."""


def first_beams(sentences: Any, groups: int, each: int) -> Beams:
    """Return one empty hypothesis for each group of `each` beams.

    All beams start alike, so all but one are barred from the first choice.
    """
    first = tf.one_hot(0, each, on_value=0.0, off_value=-float("inf"))
    shape = (sentences, groups * each)
    log_probs = tf.broadcast_to(tf.tile(first, (groups,)), shape)
    return Beams(log_probs, log_probs, tf.zeros(shape, tf.bool))


def extend(
    beams: Beams,
    logits: Any,
    excess: Any,
    t: Any,
    coverage: Any,
    *,
    end_id: int,
    ranking: Ranking,
    handicap: Any = None,
) -> tuple[Beams, Choice]:
    """Choose the best K of the K·V ways to go on.

    Args:
        beams: The hypotheses so far.
        logits: (B, K, V), of the next token, minus infinity where barred.
        excess: (B, K), what logits exceed log-probabilities by.
        t: Number of tokens so far.
        coverage: (B, K), the coverage penalties with the next token, or None.
        end_id: The token that ends an output.
        ranking: How hypotheses are ranked.
        handicap: (B, V), log-probability that a token loses in the choice,
            but not in the score.

    Returns:
        The new hypotheses and their last tokens.
    """
    width, size = logits.shape[1:]
    if handicap is not None:
        logits -= handicap[:, tf.newaxis]
    # The best of each hypothesis are enough: C = K others than padding and
    # the end token, which never ranks higher than its log-probability does.
    count = min(width + 2, size)
    best, ids = (
        tf.reshape(found, (-1, width, count))
        for found in top_k(tf.reshape(logits, (-1, size)), count)
    )
    gained = best - excess[..., tf.newaxis]
    # A hypothesis that has ended goes on in one way: padding, at no cost.
    padding = tf.one_hot(0, count, 0.0, -float("inf"))
    over = beams.finished[..., tf.newaxis]
    gained = tf.where(ids == 0, -float("inf"), gained)
    gained = tf.where(over, padding, gained)
    ids = tf.where(over, 0, ids)

    ended = ids == end_id
    kept = beams.scores[..., tf.newaxis] + padding
    totals = beams.log_probs[..., tf.newaxis] + gained  # (B, K, C)
    merits = tf.where(over, kept, ranking.merit(totals, t + 1, ended))
    if handicap is not None:
        lost = tf.where(over, 0.0, tf.gather(handicap, ids, batch_dims=1))
        gained, totals = gained + lost, totals + lost
    scores = ranking.score(totals, t + 1)
    if coverage is not None:
        scores += tf.where(ended, coverage[..., tf.newaxis], 0.0)
    scores = tf.where(over, kept, scores)

    def flat(candidates: Any) -> Any:
        return tf.reshape(candidates, (-1, width * count))

    def take(candidates: Any) -> Any:
        return tf.gather(flat(candidates), chosen, batch_dims=1)

    _, chosen = tf.math.top_k(flat(merits), width)  # (B, K)
    ids, parents = take(ids), chosen // count
    finished = tf.gather(beams.finished, parents, batch_dims=1)
    return (
        Beams(take(totals), take(scores), finished | (ids == end_id)),
        Choice(ids, parents, take(gained)),
    )


def extend_groups(
    beams: Beams,
    logits: Any,
    excess: Any,
    t: Any,
    coverage: Any,
    *,
    groups: int,
    diversity: float,
    end_id: int,
    ranking: Ranking,
) -> tuple[Beams, Choice]:
    """Extend groups of beams one after the other.

    A token loses `diversity` for each time that groups before have chosen it
    at this step. The other arguments and the results are those of `extend`.
    """
    each = logits.shape[1] // groups
    handicap = tf.zeros_like(logits[:, 0])  # (B, V)
    parts = []
    for group in range(groups):
        own = slice(group * each, (group + 1) * each)
        part, choice = extend(
            Beams(*(field[:, own] for field in beams)),
            logits[:, own],
            excess[:, own],
            t,
            None if coverage is None else coverage[:, own],
            end_id=end_id,
            ranking=ranking,
            handicap=handicap,
        )
        exists = tf.math.is_finite(part.log_probs)
        chosen = tf.where(exists, choice.ids, 0)
        times = tf.one_hot(chosen, logits.shape[-1])  # (B, K, V)
        handicap += diversity * tf.reduce_sum(times, axis=1)
        parents = choice.parents + group * each
        parts.append((part, choice._replace(parents=parents)))
    return tf.nest.map_structure(lambda *own: tf.concat(own, 1), *parts)
