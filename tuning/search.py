"""Trying many choices of hyperparameters and keeping the best."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras_tuner as kt
import tensorflow as tf
from rich.table import Table

from keras_recurrent.pipelines.build_vocabularies import (
    build_vocabularies,
)
from keras_recurrent.pipelines.files import whole_file
from keras_recurrent.pipelines.origin import say
from keras_recurrent.pipelines.recipe import Recipe
from keras_recurrent.pipelines.run import Run, RunError
from keras_recurrent.pipelines.splits import load_splits, within_limits
from keras_recurrent.pipelines.strategy import (
    check_one_machine,
    make_strategy,
)
from keras_recurrent.pipelines.training import (
    batches_in,
    data_fingerprint,
    load_batches,
    sizes_of,
)
from keras_recurrent.pipelines.workers import Workers
from keras_recurrent.tuning.hypermodel import Seq2SeqHyperModel
from keras_recurrent.tuning.kept_files import (
    CheckRoom,
    check_files,
    has_begun,
    whole_files,
)
from keras_recurrent.tuning.space import space

_OBJECTIVE = "val_loss"
# Hyperband trains every third model, three times as long: KerasTuner's default.
_FACTOR = 3


class TrialResult(NamedTuple):
    """What came of one choice of hyperparameters."""

    rank: int | None
    """1 is the best; None has failed or was never finished."""
    status: str
    """`completed`, `failed` or `running`."""
    values: dict[str, Any]
    """The choice, by name."""
    objective: float | None
    """The lowest validation loss."""
    seconds: float | None
    parameters: int | None
    """Number of weights of the model."""
    message: str
    """Why it failed."""


def tune(run: Run) -> list[TrialResult]:
    """Search as the recipe says; an interrupted search goes on.

    Writes the results (`search/results.csv`) and the recipe with the best
    values (`best.yaml`).

    Returns:
        The results, best first and failed ones last.

    Raises:
        RecipeError: there are no such devices as `training.strategy` asks
            for, or it asks for several machines.
        RunError: there is nothing to search; the folder has a search with
            another recipe or other data, or another process at work; or no
            trial completed.
    """
    _check_space(run.recipe)
    check_one_machine(run.recipe.training)
    workers = Workers(make_strategy(run.recipe.training))
    run.origin.check_folder()
    with run.locked():
        trials = _search(run, workers)
        results = [_result(rank, trial) for rank, trial in enumerate(trials, 1)]
        with whole_file(run.search / "results.csv") as draft:
            _write_results(results, draft)
        if results[0].rank is None:
            raise RunError(
                f"{run.search}: all {len(results)} trials failed; the first "
                f"one with: {results[0].message}"
            )
        with whole_file(run.best) as draft:
            space(trials[0].hyperparameters, run.recipe).save(draft)
    if run.recipe.tuning.algorithm == "hyperband":
        _check_epochs(run, results)
    return results


def results_table(results: Sequence[TrialResult]) -> Table:
    """The results for printing, failed trials marked."""
    table = Table(title=f"Search: {len(results)} trials")
    names = _value_names(results)
    for column in ("rank", "status", *names):
        table.add_column(column)
    for column in ("validation loss", "seconds", "parameters"):
        table.add_column(column, justify="right")
    for result in results:
        table.add_row(
            _text(result.rank),
            result.status,
            *(_text(result.values.get(name)) for name in names),
            _text(result.objective, ".4f"),
            _text(result.seconds, ".1f"),
            _text(result.parameters, ",d"),
            style={1: "bold", None: "red"}.get(result.rank),
        )
    return table


def _check_space(recipe: Recipe) -> None:
    choices = kt.HyperParameters()
    space(choices, recipe)
    if not choices.space:
        raise RunError(
            "nothing to search: tuning.space has no key with values to try, "
            "such as tuning.space.units=[64,128]"
        )
    config = recipe.tuning
    if config.algorithm == "hyperband" and config.epochs < _FACTOR:
        raise RunError(
            f"tuning.epochs={config.epochs}: expected at least {_FACTOR} with "
            "tuning.algorithm=hyperband, which gives most models a third of "
            "them"
        )


def _check_epochs(run: Run, results: Sequence[TrialResult]) -> None:
    """Say if successive halving ended before any model was trained fully."""
    asked = run.recipe.tuning.epochs
    longest = max(r.values["epochs"] for r in results if r.rank)
    if longest < asked:
        say(
            f"{run.search}: no model was trained for tuning.epochs={asked}, "
            f"the longest for {longest}: Hyperband ran out of choices after "
            f"{len(results)} trials. Lower tuning.epochs, give tuning.space "
            "more values, or use tuning.algorithm=random"
        )


def _search(run: Run, workers: Workers) -> list[Any]:
    """Try what was not tried before; return all trials, best first."""
    recipe, config = run.recipe, run.recipe.tuning
    begun = has_begun(run.search)
    if begun:
        run.search_origin.check(recipe)
    run.search_origin.keep(recipe, data_fingerprint(recipe), begun)
    check_files(run.search)
    splits = load_splits(recipe)
    vocabularies = build_vocabularies(recipe, splits.pairs["train"])
    splits, lengths = within_limits(recipe, vocabularies, splits)
    # The order is that of the epoch of a trial, whatever trials came before.
    number = tf.Variable(0, dtype=tf.int64)
    train, validation = load_batches(
        recipe,
        vocabularies,
        recipe.training.seed,
        splits.pairs,
        lengths,
        number,
    )
    steps = config.steps_per_epoch or batches_in(train, recipe.training)
    hypermodel = Seq2SeqHyperModel(
        recipe,
        sizes_of(vocabularies),
        number,
        steps and steps * config.epochs,
    )
    tuner = _tuner(run, hypermodel, workers)
    with whole_files():
        tuner.search(
            workers.batches(
                train if config.steps_per_epoch is None else train.repeat()
            ),
            steps_per_epoch=config.steps_per_epoch,
            validation_data=workers.batches(validation),
            epochs=config.epochs,
            callbacks=[CheckRoom(run.search)],
            shuffle=False,
            verbose=0,
        )
    return sorted(tuner.oracle.trials.values(), key=_order)


def _tuner(
    run: Run, hypermodel: Seq2SeqHyperModel, workers: Workers
) -> kt.Tuner:
    """Make a tuner, or reload the one in the folder."""
    config = run.recipe.tuning
    common: dict[str, Any] = {
        "hypermodel": hypermodel,
        "objective": kt.Objective(_OBJECTIVE, "min"),
        # KerasTuner takes 0 for "any seed".
        "seed": run.recipe.training.seed + 1,
        # Failures are shown in the table; they end nothing.
        "max_consecutive_failed_trials": 10**6,
        "executions_per_trial": 1,
        "distribution_strategy": workers.strategy,
        "directory": run.search.parent,
        "project_name": run.search.name,
        "overwrite": False,
    }
    if config.algorithm == "hyperband":
        return kt.Hyperband(max_epochs=config.epochs, factor=_FACTOR, **common)
    tuner = kt.RandomSearch(max_trials=config.max_trials, **common)
    # After so many known choices in a row, all are taken to have been tried.
    # KerasTuner's 20 are too few to find the last ones of a small space.
    tuner.oracle._max_collisions = 1000
    return tuner


def _order(trial: Any) -> float:
    completed = trial.status == kt.engine.trial.TrialStatus.COMPLETED
    return trial.score if completed else math.inf


def _result(rank: int, trial: Any) -> TrialResult:
    completed = trial.status == kt.engine.trial.TrialStatus.COMPLETED

    def metric(name: str) -> float | None:
        known = trial.metrics.exists(name)
        return trial.metrics.get_last_value(name) if known else None

    parameters = metric("parameters")
    return TrialResult(
        rank if completed else None,
        trial.status.lower(),
        {
            name.removeprefix("tuner/"): value
            for name, value in trial.hyperparameters.values.items()
            if name == "tuner/epochs" or not name.startswith("tuner/")
        },
        trial.score if completed else None,
        metric("seconds"),
        None if parameters is None else int(parameters),
        "" if completed else _reason(trial.message),
    )


def _reason(traceback: str | None) -> str:
    """The line of a traceback that names the error."""
    if traceback is None:
        return "the loss is not a number"
    outside = (" ", "Traceback")
    lines = (x for x in traceback.splitlines() if not x.startswith(outside))
    return next(filter(None, lines), "")


def _write_results(results: Sequence[TrialResult], path: Path) -> None:
    names = _value_names(results)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["rank", "status", *names, _OBJECTIVE]
            + ["seconds", "parameters", "message"]
        )
        for r in results:
            values = [r.values.get(name) for name in names]
            writer.writerow(
                [r.rank, r.status, *values, r.objective]
                + [r.seconds, r.parameters, r.message]
            )


def _value_names(results: Sequence[TrialResult]) -> list[str]:
    return list(dict.fromkeys(name for r in results for name in r.values))


def _text(value: Any, form: str = "") -> str:
    return "–" if value is None else format(value, form)
