"""Reading hypotheses back from what a beam search has noted."""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_recurrent.models.decoding.beams import Choice
from keras_recurrent.models.decoding.step import with_shapes_of


class History(NamedTuple):
    """Arrays over time."""

    ids: Any
    """(B, K), the token that each beam got at this step."""
    parents: Any
    """(B, K), the beam of the step before that it continues."""
    log_probs: Any
    """(B, K), the log-probability of the token."""
    alignments: Any
    """(B, K, S), where each beam of the step before looked."""

    @classmethod
    def empty(cls, max_length: int) -> "History":
        """Return arrays for `max_length` steps."""
        return cls(
            *(
                tf.TensorArray(dtype, max_length)
                for dtype in (tf.int32, tf.int32, tf.float32, tf.float32)
            )
        )

    def note(self, t: Any, choice: Choice, alignments: Any) -> "History":
        """Write down what happened at step t."""
        return History(
            self.ids.write(t, choice.ids),
            self.parents.write(t, choice.parents),
            self.log_probs.write(t, choice.log_probs),
            self.alignments.write(t, alignments),
        )

    def read(
        self, beams: Any, exists: Any, steps: Any, max_length: int
    ) -> tuple[Any, Any, Any]:
        """Follow the parents from the last step to the first.

        Args:
            beams: (B, N), the beams to follow.
            exists: (B, N), whether there is a hypothesis at all.
            steps: Number of steps done.
            max_length: Length L of the results.

        Returns:
            The tokens (B, N, L), their log-probabilities (B, N, L) and their
            alignments (B, N, L, S).
        """
        ids, parents, log_probs, looks = (array.stack() for array in self)

        def body(t: Any, beams: Any, *out: Any) -> tuple:
            token = tf.gather(ids[t], beams, batch_dims=1)
            token = tf.where(exists, token, 0)
            log_prob = tf.gather(log_probs[t], beams, batch_dims=1)
            log_prob = tf.where(exists, log_prob, 0.0)
            beams = with_shapes_of(
                beams, tf.gather(parents[t], beams, batch_dims=1)
            )
            look = tf.gather(looks[t], beams, batch_dims=1)
            look = tf.where((token != 0)[..., tf.newaxis], look, 0.0)
            found = (token, log_prob, look)
            return (
                t - 1,
                beams,
                *(
                    array.write(t, value)
                    for array, value in zip(out, found, strict=True)
                ),
            )

        _, _, *out = tf.while_loop(
            lambda t, *_: t >= 0,
            body,
            (
                steps - 1,
                beams,
                tf.TensorArray(tf.int32, max_length),
                tf.TensorArray(tf.float32, max_length),
                tf.TensorArray(tf.float32, max_length),
            ),
            maximum_iterations=max_length,
        )
        ids, log_probs, looks = (array.stack() for array in out)
        return (
            tf.transpose(ids, (1, 2, 0)),
            tf.transpose(log_probs, (1, 2, 0)),
            tf.transpose(looks, (1, 2, 0, 3)),
        )
