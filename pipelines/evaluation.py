"""How good a trained run is on its test sets, or on others."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from rich.progress import track
from rich.table import Table

from keras_recurrent.pipelines.files import check_writable, whole_file
from keras_recurrent.pipelines.hypotheses import hypotheses_of
from keras_recurrent.pipelines.lacking_parts import LackingParts
from keras_recurrent.pipelines.measures import (
    ErrorRates,
    Measured,
    Outputs,
    get_measures,
)
from keras_recurrent.pipelines.origin import say
from keras_recurrent.pipelines.plots import attention_figure
from keras_recurrent.pipelines.predictor import Predictor, load_predictor
from keras_recurrent.pipelines.recipe import DecodingConfig, EvaluationConfig
from keras_recurrent.pipelines.run import Run
from keras_recurrent.pipelines.sources import group_references, load_pairs
from keras_recurrent.pipelines.text_lines import join_columns

_BATCH_SIZE = 256
_PICTURED = 4


class Evaluation(NamedTuple):
    """What was measured, and how it came about."""

    name: str
    """Of the test set."""
    measured: dict[str, Measured]
    """By the names that measures have in recipes."""
    rates: ErrorRates
    decoding: DecodingConfig
    names: EvaluationConfig
    seconds: float
    """Time for decoding, the tracing of the graph included."""
    truncated: int
    """Predictions that had not ended after `decoding.max_length` tokens."""
    reference_lengths: np.ndarray
    """Tokens of each reference, the end counted in."""
    runs: tuple[str, ...]
    """The folders of the runs that decoded together; of one alone its own."""

    @property
    def long_references(self) -> int:
        """Number of references that are longer than a prediction can be."""
        longer = self.reference_lengths > self.decoding.max_length
        return int(np.count_nonzero(longer))

    def table(self) -> Table:
        """For printing."""
        token, sequence = self.names.token, self.names.sequence
        rates, decoding = self.rates, self.decoding
        which = "Test split" if self.name == "test" else self.name
        if len(self.runs) > 1:
            which += f", ensemble of {len(self.runs)} runs"
        table = Table(
            title=f"{which}: {rates.sequences:,} {sequence}s",
            caption=f"A {sequence} with several references is compared with "
            f"the closest one.{self._advice()}",
            min_width=70,
        )
        table.add_column("measure")
        table.add_column("value", justify="right")
        for one in self.measured.values():
            table.add_row(one.name, one.text(), style="bold")
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

    def signatures(self) -> list[str]:
        """Say of each measure how it was measured."""
        return [f"{m.name}: {m.signature}" for m in self.measured.values()]

    def _advice(self) -> str:
        if not self.long_references:
            return ""
        return (
            " No prediction can equal the longer references: give "
            f"decoding.max_length={self.reference_lengths.max()}."
        )


def evaluate(run: Run, others: Sequence[Run] = ()) -> Evaluation:
    """Decode the test split and compare it with its references.

    Writes to the run folder the numbers (`evaluation.json`), all predictions
    (`predictions.tsv`, as `text_lines` says), all hypotheses with their scores
    and alignments (`nbest.jsonl`), and a picture of the attention for some
    sources.

    Args:
        run: A trained run.
        others: More runs, to decode together, see `load_predictor`. What is
            written has their names in its name, see `Run.evaluation_files`.

    Raises:
        RecipeError: more hypotheses are to be kept than there are.
        RunError: as `load_predictor`.
    """
    predictor = load_predictor(run, run.recipe.evaluation.n_best, others)
    pairs = load_pairs(run.recipe.data, "test")
    return evaluate_pairs(run, predictor, "test", pairs, others)


def evaluate_pairs(
    run: Run,
    predictor: Predictor,
    name: str,
    pairs: tf.data.Dataset,
    others: Sequence[Run] = (),
) -> Evaluation:
    """Decode the sources of some pairs and compare with their targets.

    Args:
        run: A trained run.
        predictor: Its model, with as many hypotheses as are to be kept.
        name: Of the test set; what is written has it in its name, unless it is
            that of the test split. See `evaluate`.
        pairs: As from `load_pairs`.
        others: Those whose models are in the predictor, too.

    Raises:
        OSError: nothing can be written to the run folder.
    """
    check_writable(run.folder)
    config = run.recipe.evaluation
    references = group_references(pairs)
    sources = list(references)[: config.max_examples]
    lacking = LackingParts(run.recipe)
    for source in sources:
        lacking.add(source)
    for line in lacking.lines():
        say(line)
    lengths = predictor.source.tokenize(sources).row_lengths().numpy()
    by_length = [sources[i] for i in np.argsort(lengths, kind="stable")]
    began = time.perf_counter()
    decoded = _decode(predictor, by_length, references)
    hypotheses = [decoded[source] for source in sources]
    seconds = round(time.perf_counter() - began, 1)
    predictions = [one["hypotheses"][0]["text"] for one in hypotheses]
    outputs = Outputs(
        predictions,
        [references[source] for source in sources],
        predictor.target.words,
    )
    every = [text for source in sources for text in references[source]]
    evaluation = Evaluation(
        name,
        {
            key: measure.measure(outputs, config.resamples)
            for key, measure in get_measures(config).items()
        },
        ErrorRates.from_edits(outputs.token_edits),
        run.recipe.decoding,
        config,
        seconds,
        sum(one["truncated"] for one in hypotheses),
        1 + predictor.target.tokenize(every).row_lengths().numpy(),
        tuple(str(one.folder) for one in (run, *others)),
    )
    files = run.evaluation_files(name, others)
    with (
        whole_file(files.predictions) as draft,
        draft.open("w", encoding="utf-8", newline="\n") as file,
    ):
        columns = ["source", "prediction", "score", "references"]
        file.write(join_columns(columns))
        for one in hypotheses:
            best = one["hypotheses"][0]
            file.write(
                join_columns(
                    [
                        one["source"],
                        best["text"],
                        f"{best['score']:.3f}",
                        *one["references"],
                    ]
                )
            )
    with (
        whole_file(files.hypotheses) as draft,
        draft.open("w", encoding="utf-8", newline="\n") as file,
    ):
        for one in hypotheses:
            file.write(json.dumps(one, ensure_ascii=False) + "\n")
    _picture_attention(files.attention_picture, predictor, by_length)
    # Last: whoever finds it knows that the rest is there too.
    with whole_file(files.numbers) as draft:
        summary = json.dumps(_summary(evaluation), indent=2)
        draft.write_text(summary + "\n", encoding="utf-8")
    return evaluation


def _decode(
    predictor: Predictor, sources: list[str], references: dict[str, list[str]]
) -> dict[str, dict[str, Any]]:
    """Return what `nbest.jsonl` says of each source.

    Batches are cut from the sources as they come: by length, they need little
    padding.
    """
    found: dict[str, dict[str, Any]] = {}
    starts = range(0, len(sources), _BATCH_SIZE)
    for start in track(starts, f"Decoding {len(sources):,} sources"):
        batch = sources[start : start + _BATCH_SIZE]
        for source, one in zip(
            batch, hypotheses_of(predictor, batch), strict=True
        ):
            found[source] = {
                "source": source,
                "references": references[source],
                **one,
            }
    return found


def _picture_attention(
    path: Path, predictor: Predictor, sources: list[str]
) -> None:
    """Draw some of the sources, from the shortest to the longest."""
    count = min(_PICTURED, len(sources))
    chosen = [
        sources[len(sources) * (2 * k + 1) // (2 * count)] for k in range(count)
    ]
    outputs = predictor.best(tf.constant(chosen))
    # Not the tokens of the text: a model may write them in other pieces.
    predicted = tf.RaggedTensor.from_tensor(
        outputs["tokens"][:, 0], lengths=outputs["lengths"][:, 0]
    )
    figure = attention_figure(
        _labels(predictor.source.tokenize(chosen)),
        _labels(predicted),
        outputs["alignments"][:, 0].numpy(),
    )
    with whole_file(path) as draft:
        figure.savefig(draft)


def _labels(tokens: tf.RaggedTensor) -> list[list[str]]:
    return [[token.decode() for token in row] for row in tokens.to_list()]


def _summary(evaluation: Evaluation) -> dict:
    rates, names = evaluation.rates, evaluation.names
    return {
        "name": evaluation.name,
        "runs": evaluation.runs,
        "token": names.token,
        "sequence": names.sequence,
        "token_error_rate": rates.token_error_rate,
        "sequence_error_rate": rates.sequence_error_rate,
        **rates._asdict(),
        "measures": {
            key: {
                "value": one.value,
                "interval": one.interval,
                "signature": one.signature,
            }
            for key, one in evaluation.measured.items()
        },
        "truncated": evaluation.truncated,
        "long_references": evaluation.long_references,
        "references": len(evaluation.reference_lengths),
        "decoding": evaluation.decoding.model_dump(),
        "seconds": evaluation.seconds,
    }
