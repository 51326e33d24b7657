"""The folder of a run: what was asked for and all that came of it."""

import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import filelock

from keras_recurrent.pipelines.files import digest, remove_drafts
from keras_recurrent.pipelines.history import averaged_epochs, is_finished
from keras_recurrent.pipelines.origin import Origin, say
from keras_recurrent.pipelines.origin import RunError as RunError
from keras_recurrent.pipelines.recipe import Recipe, load_recipe

# Beginnings of keys that say how results are used, not how they are made.
_FREE = (
    "training.patience",
    "training.minutes",
    "training.steps",
    "training.checkpoint_minutes",
    "training.checkpoint_steps",
    "training.data_service",
    "training.strategy",
    "data.tests",
    "decoding.",
    "evaluation.",
)


class EvaluationFiles(NamedTuple):
    """What the evaluation of a test set writes."""

    numbers: Path
    predictions: Path
    hypotheses: Path
    attention_picture: Path


class Run:
    """A recipe and its folder; the attributes are the paths in it.

    `create` and `open` make one; neither imports TensorFlow.
    """

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder = folder
        self.recipe = recipe
        self.search = folder / "search"
        self.best = folder / "best.yaml"
        self.origin = Origin(
            folder,
            (*_FREE, "tuning."),
            frozenset((self.search.name, self.best.name)),
        )
        self.search_origin = Origin(self.search, _FREE)
        self.recipe_file = self.origin.recipe_file
        self.source_vocabulary = folder / "source.vocabulary.txt"
        self.target_vocabulary = folder / "target.vocabulary.txt"
        self.second_vocabulary = folder / "second_source.vocabulary.txt"
        self.feature_vocabularies = [
            folder / f"features.{name}.vocabulary.txt"
            for name in (recipe.features.names if recipe.features else ())
        ]
        self.checkpoints = folder / "checkpoints"
        self.metrics = folder / "metrics.jsonl"
        self.events = folder / "events"
        self.model = folder / "model.keras"
        self.average = folder / "average.json"
        self.training_picture = folder / "pictures" / "training.png"
        self.export = folder / "export"
        test = self.evaluation_files("test")
        self.evaluation = test.numbers
        self.predictions = test.predictions
        self.attention_picture = test.attention_picture

    @classmethod
    def create(cls, recipe: Recipe, folder: str | Path) -> Self:
        """Make the folder, or go on with the one that this recipe made.

        The recipe may differ in what results so far do not depend on: more
        epochs, patience, decoding, evaluation, tuning, the place of the data;
        in all if there are none yet. Training brings the recipe in the folder
        up to date.

        Raises:
            RunError: the folder belongs to another recipe, or is no run.
        """
        run = cls(Path(folder), recipe)
        if run.has_begun():
            run.origin.check(recipe)
        else:
            run.origin.check_folder()
        if not run.recipe_file.exists():
            run.origin.write_recipe(recipe)
        return run

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open the folder of a run that has been trained.

        Raises:
            RunError: there is no such folder, it is no run, it has no model
                yet, or a file in it is damaged.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise RunError(f"{folder}: there is no such run folder")
        recipe_file = folder / "recipe.yaml"
        if not recipe_file.is_file():
            raise RunError(f"{folder}: not a run folder, it has no recipe.yaml")
        run = cls(folder, load_recipe(recipe_file))
        if not run.model.is_file():
            raise RunError(
                f"{folder}: no model yet. Train it first: "
                f"keras-recurrent train {recipe_file} --run {folder}"
            )
        if not zipfile.is_zipfile(run.model):
            raise RunError(f"{run.model}: damaged, not a Keras model")
        now = run.vocabulary_digests()
        kept = run.origin.fingerprint().get("vocabularies", now)
        for name in (name for name in kept if kept[name] != now.get(name)):
            raise RunError(
                f"{folder / name}: has changed since the model was trained: "
                f"{kept[name]} then, {now.get(name)} now"
            )
        history, config = run.history(), run.recipe.training
        if not is_finished(history, config):
            say(
                f"{folder}: unfinished, epoch {len(history)} of "
                f"{config.epochs}; the best model so far is used"
            )
        elif not run.is_finished():
            say(
                f"{folder}: the weights are not averaged yet; the best model "
                "so far is used"
            )
        return run

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder, and keep other processes from training in it.

        The operating system unlocks it as soon as the process ends. Halves of
        files that one had written as it was killed are removed.

        Raises:
            RunError: another process is at work in it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.folder / ".lock", blocking=False)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise RunError(
                f"{self.folder}: another process trains or searches here. "
                "Wait for its end, or choose another folder with --run"
            ) from None
        try:
            for path in (self.model, self.metrics, self.training_picture):
                remove_drafts(path)
            yield
        finally:
            lock.release()

    def evaluation_files(
        self, name: str, others: Sequence["Run"] = ()
    ) -> EvaluationFiles:
        """Return where the evaluation of a test set is.

        Args:
            name: Of the test set, `"test"` of the test split.
            others: More runs, if it is that of an ensemble with them: its
                files have their names behind a plus sign each.
        """
        suffix = "" if name == "test" else f".{name}"
        suffix += "".join(f"+{one.folder.resolve().name}" for one in others)
        return EvaluationFiles(
            self.folder / f"evaluation{suffix}.json",
            self.folder / f"predictions{suffix}.tsv",
            self.folder / f"nbest{suffix}.jsonl",
            self.folder / "pictures" / f"attention{suffix}.png",
        )

    def vocabulary_digests(self) -> dict[str, str]:
        """What tells whether the vocabularies are still the same."""
        paths = [self.source_vocabulary, self.target_vocabulary]
        if self.recipe.second_source is not None:
            paths.append(self.second_vocabulary)
        paths += self.feature_vocabularies
        return {
            path.name: digest(path) if path.exists() else "missing"
            for path in paths
        }

    def is_finished(self) -> bool:
        """Whether training is done, and what is to be averaged is."""
        history, config = self.history(), self.recipe.training
        if not is_finished(history, config):
            return False
        if config.average == 1:
            return True
        try:
            done = json.loads(self.average.read_bytes())["epochs"]
        except (OSError, ValueError, TypeError, KeyError):
            return False
        return done == averaged_epochs(history, config)

    def has_begun(self) -> bool:
        """Whether there is anything that depends on recipe and data."""
        return self.metrics.exists() or any(
            self.checkpoints.glob("[0-9]*.weights.h5")
        )

    def history(self) -> list[dict[str, Any]]:
        """The metrics of the epochs so far, one dictionary each.

        Raises:
            RunError: a line of `metrics.jsonl` is something else.
        """
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_bytes().splitlines()
        return [self._epoch(n, line) for n, line in enumerate(lines, 1)]

    def _epoch(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            epoch = json.loads(line)
            float(epoch["val_loss"])
            if epoch["epoch"] == number:
                return epoch
        except (ValueError, TypeError, KeyError):
            pass
        raise RunError(
            f"{self.metrics}, line {number}: damaged, expected the metrics of "
            f"epoch {number}. Received: "
            f"{line[:60].decode('utf-8', 'backslashreplace')!r}"
        )
