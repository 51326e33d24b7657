"""From text to text: a trained model between its vocabularies."""

from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.models import Constraints, Seq2Seq
from keras_recurrent.pipelines.recipe import DecodingConfig
from keras_recurrent.pipelines.run import Run
from keras_recurrent.pipelines.vocabulary import (
    Vocabulary,
    load_vocabularies,
)


class Predictor(tf.Module):
    """Decodes a batch of texts by beam search, all in one graph.

    An empty text has an empty prediction of score 0; unknown tokens are
    read as the unknown token.

    Args:
        model: The encoder-decoder.
        source: Vocabulary of what it reads.
        target: Vocabulary of what it writes.
        decoding: Settings of the beam search.

    Call arguments:
        text: (N,), strings in UTF-8.

    Returns:
        A dictionary of
        "predictions": (N,) strings,
        "scores": (N,) float32, the log-probabilities of the predictions,
        "truncated": (N,) boolean, whether a prediction was cut off: it had not
        ended after `max_length` tokens,
        "alignments": (N, L, S) float32, how much each target token attended
        to each source token; L is `max_length`, S the longest source.
    """

    def __init__(
        self,
        model: Seq2Seq,
        source: Vocabulary,
        target: Vocabulary,
        decoding: DecodingConfig,
    ) -> None:
        super().__init__()
        self.model = model
        self.source = source
        self.target = target
        self.decoding = decoding

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "text")])
    def __call__(self, text: Any) -> dict[str, Any]:
        count = tf.shape(text)[0]
        # Neither recurrent layers nor beam search run for 0 rows or steps: a
        # batch without texts gets one, and sources at least one step.
        text = tf.pad(text, [[0, tf.cast(count == 0, tf.int32)]])
        ids = self.source.encode(text)
        width = tf.maximum(ids.bounding_shape(axis=1), 1)
        hypotheses = self.model.generate(
            ids.to_tensor(shape=tf.stack([ids.nrows(), width])),
            beam_width=self.decoding.beam_width,
            max_length=self.decoding.max_length,
            length_penalty=self.decoding.length_penalty,
            coverage_penalty=self.decoding.coverage_penalty,
            n_best=1,
            constraints=Constraints(
                min_length=self.decoding.min_length,
                no_repeat_ngram=self.decoding.no_repeat_ngram,
            ),
        )
        empty = ids.row_lengths() == 0
        best = hypotheses.ids[:, 0]
        ended = tf.reduce_any(best == self.target.end_id, axis=1)
        predictions = self.target.decode(best)
        return {
            "predictions": tf.where(empty, "", predictions)[:count],
            "scores": tf.where(empty, 0.0, hypotheses.log_probs[:, 0])[:count],
            "truncated": ~(ended | empty)[:count],
            "alignments": tf.where(
                empty[:, tf.newaxis, tf.newaxis],
                0.0,
                hypotheses.alignments[:, 0],
            )[:count],
        }


def load_predictor(run: Run) -> Predictor:
    """Load the best model of a run, its vocabularies and its settings."""
    return Predictor(
        keras.saving.load_model(run.model, compile=False),
        *load_vocabularies(run),
        run.recipe.decoding,
    )
