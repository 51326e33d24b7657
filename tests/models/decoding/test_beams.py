"""One step of a beam search."""

import numpy as np
import tensorflow as tf

from keras_recurrent.models.decoding.beams import Beams, extend_groups
from keras_recurrent.models.decoding.ranking import Ranking

END = 1
NONE = -np.inf


def extended(log_probs_of_beams, diversity):
    """Two groups of one beam each, one sentence."""
    log_probs = tf.constant([log_probs_of_beams], tf.float32)
    beams = Beams(log_probs, log_probs, tf.constant([[False, False]]))
    logits = 3 + tf.math.log([[[0.0, 0.1, 0.5, 0.4]] * 2])
    return extend_groups(
        beams,
        logits,
        tf.constant([[3.0, 3.0]]),
        0,
        None,
        groups=2,
        diversity=diversity,
        end_id=END,
        ranking=Ranking(),
    )


def test_a_group_avoids_what_the_one_before_chose():
    beams, choice = extended([0.0, 0.0], diversity=1.0)
    np.testing.assert_array_equal(choice.ids, [[2, 3]])
    np.testing.assert_array_equal(choice.parents, [[0, 1]])
    # What it avoids is no part of its score.
    np.testing.assert_allclose(beams.scores, np.log([[0.5, 0.4]]), rtol=1e-6)
    _, choice = extended([0.0, 0.0], diversity=0.1)
    np.testing.assert_array_equal(choice.ids, [[2, 2]])


def test_a_group_without_hypotheses_has_chosen_nothing():
    _, choice = extended([NONE, 0.0], diversity=1.0)
    assert choice.ids[0, 1] == 2
