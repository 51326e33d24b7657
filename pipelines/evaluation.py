"""Error rates of a trained run on the test split."""

import json
import time
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from rich.progress import track
from rich.table import Table

from keras_recurrent.pipelines.error_rate import ErrorRates, error_rates
from keras_recurrent.pipelines.files import whole_file
from keras_recurrent.pipelines.plots import attention_figure
from keras_recurrent.pipelines.predictor import Predictor, load_predictor
from keras_recurrent.pipelines.recipe import DecodingConfig, EvaluationConfig
from keras_recurrent.pipelines.run import Run
from keras_recurrent.pipelines.sources import group_references, load_pairs
from keras_recurrent.pipelines.text_lines import join_columns

_BATCH_SIZE = 256
_PICTURED = 4


class Evaluation(NamedTuple):
    """Error rates and how they came about."""

    rates: ErrorRates
    decoding: DecodingConfig
    names: EvaluationConfig
    seconds: float
    """Time for decoding, the tracing of the graph included."""
    truncated: int
    """Predictions that had not ended after `decoding.max_length` tokens."""
    reference_lengths: np.ndarray
    """Tokens of each reference, the end counted in."""

    @property
    def long_references(self) -> int:
        """Number of references that are longer than a prediction can be."""
        longer = self.reference_lengths > self.decoding.max_length
        return int(np.count_nonzero(longer))

    def table(self) -> Table:
        """For printing."""
        token, sequence = self.names.token, self.names.sequence
        rates, decoding = self.rates, self.decoding
        table = Table(
            title=f"Test split: {rates.sequences:,} {sequence}s",
            caption=f"A {sequence} with several references is compared with "
            f"the closest one.{self._advice()}",
            min_width=70,
        )
        table.add_column("measure")
        table.add_column("value", justify="right")
        table.add_row(
            _title(token), f"{rates.token_error_rate:.2%}", style="bold"
        )
        table.add_row(
            _title(sequence), f"{rates.sequence_error_rate:.2%}", style="bold"
        )
        table.add_row(f"{token} edits", f"{rates.edits:,} of {rates.tokens:,}")
        table.add_row(
            f"wrong {sequence}s", f"{rates.wrong:,} of {rates.sequences:,}"
        )
        table.add_row(
            "predictions cut at max length",
            f"{self.truncated:,} of {rates.sequences:,}",
        )
        table.add_row(
            "references longer than that",
            f"{self.long_references:,} of {len(self.reference_lengths):,}",
        )
        for name, value in decoding.model_dump().items():
            table.add_row(name.replace("_", " "), str(value))
        table.add_row("decoding time", f"{self.seconds:.0f} s")
        return table

    def _advice(self) -> str:
        if not self.long_references:
            return ""
        return (
            " No prediction can equal the longer references: give "
            f"decoding.max_length={self.reference_lengths.max()}."
        )


def evaluate(run: Run) -> Evaluation:
    """Decode the test split and compare it with its references.

    Writes to the run folder the numbers (`evaluation.json`), all predictions
    (`predictions.tsv`, as `text_lines` says) and a picture of the attention
    for some sources.
    """
    config = run.recipe.evaluation
    predictor = load_predictor(run)
    references = group_references(load_pairs(run.recipe.data, "test"))
    sources = list(references)[: config.max_examples]
    # Batches of like lengths need little padding.
    lengths = predictor.source.tokenize(sources).row_lengths().numpy()
    sources = [sources[i] for i in np.argsort(lengths, kind="stable")]
    began = time.perf_counter()
    predictions, scores, truncated = _predict(predictor, sources)
    expected = [
        predictor.target.tokenize(references[source]).to_list()
        for source in sources
    ]
    evaluation = Evaluation(
        error_rates(predictor.target.tokenize(predictions).to_list(), expected),
        run.recipe.decoding,
        config,
        round(time.perf_counter() - began, 1),
        truncated,
        np.array([1 + len(tokens) for group in expected for tokens in group]),
    )
    with (
        whole_file(run.predictions) as draft,
        draft.open("w", encoding="utf-8", newline="\n") as file,
    ):
        columns = ["source", "prediction", "score", "references"]
        file.write(join_columns(columns))
        for source, prediction, score in zip(
            sources, predictions, scores, strict=True
        ):
            columns = [source, prediction, f"{score:.3f}", *references[source]]
            file.write(join_columns(columns))
    _picture_attention(run, predictor, sources)
    # Last: whoever finds it knows that the rest is there too.
    with whole_file(run.evaluation) as draft:
        summary = json.dumps(_summary(evaluation), indent=2)
        draft.write_text(summary + "\n", encoding="utf-8")
    return evaluation


def _predict(
    predictor: Predictor, sources: list[str]
) -> tuple[list[str], list[float], int]:
    """Return the predictions, their scores, and how many were cut off."""
    predictions: list[str] = []
    scores: list[float] = []
    truncated = 0
    starts = range(0, len(sources), _BATCH_SIZE)
    for start in track(starts, f"Decoding {len(sources):,} sources"):
        batch = tf.constant(sources[start : start + _BATCH_SIZE])
        outputs = predictor(batch)
        predictions += [p.decode() for p in outputs["predictions"].numpy()]
        scores += outputs["scores"].numpy().tolist()
        truncated += int(outputs["truncated"].numpy().sum())
    return predictions, scores, truncated


def _picture_attention(
    run: Run, predictor: Predictor, sources: list[str]
) -> None:
    """Draw sources spread evenly over all lengths."""
    count = min(_PICTURED, len(sources))
    chosen = [
        sources[len(sources) * (2 * k + 1) // (2 * count)] for k in range(count)
    ]
    outputs = predictor(tf.constant(chosen))
    figure = attention_figure(
        _labels(predictor.source.tokenize(chosen)),
        _labels(predictor.target.tokenize(outputs["predictions"])),
        outputs["alignments"].numpy(),
    )
    with whole_file(run.attention_picture) as draft:
        figure.savefig(draft)


def _labels(tokens: tf.RaggedTensor) -> list[list[str]]:
    return [[token.decode() for token in row] for row in tokens.to_list()]


def _summary(evaluation: Evaluation) -> dict:
    rates, names = evaluation.rates, evaluation.names
    return {
        "token": names.token,
        "sequence": names.sequence,
        "token_error_rate": rates.token_error_rate,
        "sequence_error_rate": rates.sequence_error_rate,
        **rates._asdict(),
        "truncated": evaluation.truncated,
        "long_references": evaluation.long_references,
        "references": len(evaluation.reference_lengths),
        "decoding": evaluation.decoding.model_dump(),
        "seconds": evaluation.seconds,
    }


def _title(name: str) -> str:
    """Name an error rate: `phoneme` gives `phoneme error rate (PER)`."""
    return f"{name} error rate ({name[0].upper()}ER)"
