"""The measures that a recipe can name."""

from keras_recurrent.pipelines.measures.measure import Measure
from keras_recurrent.pipelines.measures.rates import (
    Rate,
    character_errors,
    exact_matches,
    token_errors,
    wrong_sequences,
)
from keras_recurrent.pipelines.measures.scores import Score
from keras_recurrent.pipelines.recipe import EvaluationConfig


def get_measures(config: EvaluationConfig) -> dict[str, Measure]:
    """Return the measures that are asked for, by their names."""
    return {name: get_measure(name, config) for name in config.measures}


def get_measure(name: str, config: EvaluationConfig) -> Measure:
    """Return a measure by its name."""
    if name == "token_error_rate":
        return Rate(_title(config.token), token_errors, config.token)
    if name == "sequence_error_rate":
        return Rate(_title(config.sequence), wrong_sequences, config.sequence)
    if name == "character_error_rate":
        return Rate(_title("character"), character_errors, "character")
    if name == "exact_match":
        return Rate("exact match", exact_matches, config.sequence)
    # It takes a moment to import.
    from sacrebleu.metrics import BLEU, CHRF, TER

    if name == "bleu":
        return Score(BLEU(tokenize=config.tokenize, force=True))
    return Score(CHRF() if name == "chrf" else TER())


def _title(name: str) -> str:
    """Name an error rate: `phoneme` gives `phoneme error rate (PER)`."""
    return f"{name} error rate ({name[0].upper()}ER)"
