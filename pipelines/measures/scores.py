"""Scores of translations, by sacrebleu."""

from typing import Any

from keras_recurrent.pipelines.measures.measure import Measured, Outputs


class Score:
    """A score of sacrebleu, from 0 to 100, over all of a text.

    Args:
        metric: One of its metrics.
    """

    def __init__(self, metric: Any) -> None:
        self.metric = metric

    def measure(self, outputs: Outputs, resamples: int) -> Measured:
        # One sample is none.
        score = self.metric.corpus_score(
            list(outputs.predictions),
            _streams(outputs),
            n_bootstrap=resamples or 1,
        )
        interval = None
        if resamples:
            mean, half = float(score._mean), float(score._ci)
            interval = (mean - half, mean + half)
        return Measured(
            score.name,
            float(score.score),
            interval,
            False,
            str(self.metric.get_signature()),
        )

    def compare(self, one: Outputs, other: Outputs, resamples: int) -> float:
        # It takes a moment to import, as in `measures.py`.
        from sacrebleu.significance import PairedTest

        systems = {"one": one, "other": other}
        test = PairedTest(
            [(name, list(o.predictions)) for name, o in systems.items()],
            {"score": self.metric},
            _streams(one),
            test_type="bs",
            n_samples=resamples,
        )
        columns: Any = test()[1]
        # It names the column itself, beside that of the systems.
        (results,) = (v for name, v in columns.items() if name != "System")
        # Of no difference at all it says that it is hardly by chance.
        if results[0].score == results[1].score:
            return 1.0
        return results[1].p_value


def _streams(outputs: Outputs) -> Any:
    """Return the first reference of all sentences, then the second, …"""
    most = max(map(len, outputs.references))
    return [
        [
            choices[number] if number < len(choices) else None
            for choices in outputs.references
        ]
        for number in range(most)
    ]
