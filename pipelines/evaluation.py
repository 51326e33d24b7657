"""Error rates of a trained run on the test split."""

import csv
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

_BATCH_SIZE = 256
_PICTURED = 4


class Evaluation(NamedTuple):
    """Error rates and how they came about."""

    rates: ErrorRates
    decoding: DecodingConfig
    names: EvaluationConfig
    seconds: float
    """Time for decoding, the tracing of the graph included."""

    def table(self) -> Table:
        """For printing."""
        token, sequence = self.names.token, self.names.sequence
        rates, decoding = self.rates, self.decoding
        table = Table(
            title=f"Test split: {rates.sequences:,} {sequence}s",
            caption=f"A {sequence} with several references is compared with "
            "the closest one.",
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
        for name, value in decoding.model_dump().items():
            table.add_row(name.replace("_", " "), str(value))
        table.add_row("decoding time", f"{self.seconds:.0f} s")
        return table


def evaluate(run: Run) -> Evaluation:
    """Decode the test split and compare it with its references.

    Writes to the run folder the numbers (`evaluation.json`), all predictions
    (`predictions.tsv`) and a picture of the attention for some sources.
    """
    config = run.recipe.evaluation
    predictor = load_predictor(run)
    references = group_references(load_pairs(run.recipe.data, "test"))
    sources = list(references)[: config.max_examples]
    # Batches of like lengths need little padding.
    lengths = predictor.source.tokenize(sources).row_lengths().numpy()
    sources = [sources[i] for i in np.argsort(lengths, kind="stable")]
    began = time.perf_counter()
    predictions, scores = _predict(predictor, sources)
    evaluation = Evaluation(
        error_rates(
            predictor.target.tokenize(predictions).to_list(),
            [
                predictor.target.tokenize(references[source]).to_list()
                for source in sources
            ],
        ),
        run.recipe.decoding,
        config,
        round(time.perf_counter() - began, 1),
    )
    with (
        whole_file(run.predictions) as draft,
        draft.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, "excel-tab", lineterminator="\n")
        writer.writerow(["source", "prediction", "score", "references"])
        for source, prediction, score in zip(
            sources, predictions, scores, strict=True
        ):
            writer.writerow(
                [source, prediction, f"{score:.3f}", *references[source]]
            )
    _picture_attention(run, predictor, sources)
    # Last: whoever finds it knows that the rest is there too.
    with whole_file(run.evaluation) as draft:
        summary = json.dumps(_summary(evaluation), indent=2)
        draft.write_text(summary + "\n", encoding="utf-8")
    return evaluation


def _predict(
    predictor: Predictor, sources: list[str]
) -> tuple[list[str], list[float]]:
    predictions: list[str] = []
    scores: list[float] = []
    starts = range(0, len(sources), _BATCH_SIZE)
    for start in track(starts, f"Decoding {len(sources):,} sources"):
        batch = tf.constant(sources[start : start + _BATCH_SIZE])
        outputs = predictor(batch)
        predictions += [p.decode() for p in outputs["predictions"].numpy()]
        scores += outputs["scores"].numpy().tolist()
    return predictions, scores


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
        "decoding": evaluation.decoding.model_dump(),
        "seconds": evaluation.seconds,
    }


def _title(name: str) -> str:
    """Name an error rate: `phoneme` gives `phoneme error rate (PER)`."""
    return f"{name} error rate ({name[0].upper()}ER)"
