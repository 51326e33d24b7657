"""From text to text: a trained model between its vocabularies."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_recurrent.models import (
    Constraints,
    Ensemble,
    Hypotheses,
    Seq2Seq,
)
from keras_recurrent.pipelines.copied_tokens import CopiedTokens, tokens_at
from keras_recurrent.pipelines.recipe import DecodingConfig
from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.run import Run, RunError
from keras_recurrent.pipelines.vocabularies import load_vocabularies
from keras_recurrent.pipelines.vocabulary import Vocabulary


class Predictor(tf.Module):
    """Decodes a batch of texts by beam search, all in one graph.

    An empty text has an empty prediction of score 0; unknown tokens are
    read as the unknown token.

    Args:
        model: The encoder-decoder, or several.
        source: Vocabulary of what it reads.
        target: Vocabulary of what it writes.
        decoding: Settings of the beam search.
        n_best: How many hypotheses of each text `best` returns, at most the
            beam width.

    Call arguments:
        text: (N,), strings in UTF-8.

    Returns:
        A dictionary of
        "predictions": (N,) strings,
        "scores": (N,) float32, the log-probabilities of the predictions,
        "truncated": (N,) boolean, whether a prediction was cut off: it had not
        ended after `max_length` tokens,
        "alignments": (N, L, S) float32, how much each target token attended
        to each source token; L is `max_length`, S the longest source,
        "copied": (N, L) float32, how probable it was that a token was copied,
        of a model that copies.
    """

    def __init__(
        self,
        model: Seq2Seq | Ensemble,
        source: Vocabulary,
        target: Vocabulary,
        decoding: DecodingConfig,
        n_best: int = 1,
    ) -> None:
        super().__init__()
        self.model = model
        self.source = source
        self.target = target
        self.decoding = decoding
        self.n_best = n_best
        more = model.unknown_copies
        self.copied = (
            None if more is None else CopiedTokens(source, target, more)
        )

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "text")])
    def __call__(self, text: Any) -> dict[str, Any]:
        best = self._hypotheses(text, 1)
        del best["tokens"], best["lengths"]
        return {name: value[:, 0] for name, value in best.items()}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "text")])
    def best(self, text: Any) -> dict[str, Any]:
        """Decode texts (N,) to the `n_best` K hypotheses of each, best first.

        Returns:
            What a call returns, with an axis more: predictions (N, K) and so
            on; and "tokens" (N, K, L) strings, of which predictions are made,
            and "lengths" (N, K), how many they are. Where there are fewer
            hypotheses, the last have the score minus infinity.
        """
        return self._hypotheses(text, self.n_best)

    def _hypotheses(self, text: Any, n_best: int) -> dict[str, Any]:
        count = tf.shape(text)[0]
        # Neither recurrent layers nor beam search run for 0 rows or steps: a
        # batch without texts gets one, and sources at least one step.
        text = tf.pad(text, [[0, tf.cast(count == 0, tf.int32)]])
        ids = self._encoded(text)
        sources = {name: _padded(side) for name, side in ids.items()}
        hypotheses = self.model.generate(
            sources,
            beam_width=self.decoding.beam_width,
            max_length=self.decoding.max_length,
            length_penalty=self.decoding.length_penalty,
            coverage_penalty=self.decoding.coverage_penalty,
            n_best=n_best,
            constraints=Constraints(
                min_length=self.decoding.min_length,
                no_repeat_ngram=self.decoding.no_repeat_ngram,
            ),
        )
        empty = (ids["source"].row_lengths() == 0)[:, tf.newaxis]  # (N, 1)
        ended = tf.reduce_any(hypotheses.ids == self.target.end_id, axis=-1)
        tokens = self.target.decode_tokens(hypotheses.ids)  # (N, K, L)
        if self.copied is not None:
            tokens = self.copied.write(
                tokens, hypotheses.ids, text, sources["copies"]
            )
        if self.decoding.replace_unknown:
            tokens = self._known(tokens, hypotheses, text)
        predictions = self.target.splitter.join(tokens)  # (N, K)
        return {
            "predictions": tf.where(empty, "", predictions)[:count],
            "scores": tf.where(empty, 0.0, hypotheses.log_probs)[:count],
            "truncated": ~(ended | empty)[:count],
            "tokens": tokens[:count],
            "lengths": tf.where(empty, 0, hypotheses.lengths)[:count],
            "alignments": tf.where(
                empty[..., tf.newaxis, tf.newaxis],
                0.0,
                hypotheses.alignments,
            )[:count],
        } | (
            {}
            if self.copied is None
            else {
                "copied": tf.where(
                    empty[..., tf.newaxis], 0.0, hypotheses.copied
                )[:count]
            }
        )

    def _encoded(self, text: Any) -> dict[str, tf.RaggedTensor]:
        """Return what the model reads of texts, (N, …) each, by name.

        Of features it is (N, …, F).
        """
        if self.copied is None:
            ids = {"source": self.source.encode(text)}
        else:
            source, copies = self.copied.encode_sources(text)
            ids = {"source": source, "copies": copies}
        more = self.source.more
        return ids | {name: encode(text) for name, encode in more.items()}

    def _known(self, tokens: Any, hypotheses: Hypotheses, text: Any) -> Any:
        """Replace unknown tokens by those of the source most attended to.

        Args:
            tokens: (N, K, L), strings.
            hypotheses: Of which they are.
            text: (N,), the sources.
        """
        looked_at = tf.argmax(hypotheses.alignments, axis=-1)  # (N, K, L)
        copied = tokens_at(looked_at, self.source, text)
        unknown = self.target.is_unknown(hypotheses.ids)
        # What comes after the end is no token.
        return tf.where(unknown & (tokens != ""), copied, tokens)


def _padded(ids: tf.RaggedTensor) -> tf.Tensor:
    """Pad (N, …), or (N, …, F), to at least one step."""
    width = tf.maximum(ids.bounding_shape(axis=1), 1)
    shape = [ids.nrows(), width, *ids.flat_values.shape[1:]]
    return ids.to_tensor(shape=tf.stack(shape))


def load_predictor(
    run: Run, n_best: int = 1, others: Sequence[Run] = ()
) -> Predictor:
    """Load the best model of a run, its vocabularies and its settings.

    Args:
        run: A trained run.
        n_best: As in `Predictor`.
        others: More runs, whose models decode together with that of the
            first, see `Ensemble`; by the settings of the first.

    Raises:
        RecipeError: `n_best` is more than the beam width.
        RunError: the vocabularies of a run are others, or it is given twice.
    """
    decoding = run.recipe.decoding
    if n_best > decoding.beam_width:
        raise RecipeError(
            f"{n_best} hypotheses were asked for, more than "
            f"decoding.beam_width={decoding.beam_width}"
        )
    vocabularies = load_vocabularies(run)
    known = {run.folder.resolve()}
    for other in others:
        if other.folder.resolve() in known:
            raise RunError(f"{other.folder}: was given twice")
        known.add(other.folder.resolve())
        _check_same_vocabularies(run, vocabularies, other)
    models = [
        keras.saving.load_model(one.model, compile=False)
        for one in (run, *others)
    ]
    return Predictor(
        Ensemble(models) if others else models[0],
        *vocabularies,
        decoding,
        n_best,
    )


def _check_same_vocabularies(
    run: Run, vocabularies: tuple[Vocabulary, Vocabulary], other: Run
) -> None:
    for side, ours, theirs in zip(
        ("source", "target"),
        vocabularies,
        load_vocabularies(other),
        strict=True,
    ):
        here, there = (getattr(one.recipe, side) for one in (run, other))
        differing = [
            f"{name}: {getattr(there, name)}, not {getattr(here, name)}"
            for name in ("split", "case", "normalize", "unknowns")
            if getattr(there, name) != getattr(here, name)
        ]
        if ours.tokens != theirs.tokens:
            differing.append(
                f"{len(theirs.tokens):,} tokens, not the "
                f"{len(ours.tokens):,} there"
            )
        if differing:
            raise RunError(
                f"{other.folder}: has another {side} vocabulary than "
                f"{run.folder}, so that they cannot decode together "
                f"({'; '.join(differing)})"
            )
    # Those of both sides are the same; what is left is what else there is.
    here, there = (
        (
            one.recipe.second_source,
            one.recipe.features,
            one.vocabulary_digests(),
        )
        for one in (run, other)
    )
    if here != there:
        raise RunError(
            f"{other.folder}: reads another second source or other features "
            f"than {run.folder}, so that they cannot decode together"
        )
