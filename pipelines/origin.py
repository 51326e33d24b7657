"""What the results in a folder were made from, and that it stays the same."""

import json
import sys
from pathlib import Path
from typing import Any

from keras_recurrent.pipelines.files import whole_file
from keras_recurrent.pipelines.recipe import Recipe, load_recipe

# Keys of a recipe that say where the data is, which its fingerprint knows.
_PLACES = ("data.directory", "data.manual", "data.folder", "data.files.")
# Keys that may be raised, to go on for longer.
_RISING = ("training.epochs", "tuning.max_trials")

Fingerprint = dict[str, dict[str, str]]


class RunError(ValueError):
    """A run folder cannot be used; says why in one line."""


class Origin:
    """The recipe and the fingerprint that are kept in a folder.

    The fingerprint tells whether `data` and what was derived from it are
    still the same, and under which `versions` the results began.

    Args:
        folder: Where the results are.
        free: Beginnings of the recipe's keys that results so far do not
            depend on.
        beside: Names that may be in the folder before.
    """

    def __init__(
        self,
        folder: Path,
        free: tuple[str, ...],
        beside: frozenset[str] = frozenset(),
    ) -> None:
        self.folder = folder
        self.recipe_file = folder / "recipe.yaml"
        self.fingerprint_file = folder / "fingerprint.json"
        self._free = free
        self._beside = beside

    def check_folder(self) -> None:
        """Check that nothing of others is in the folder.

        Raises:
            RunError: it is a file, or it holds other files.
        """
        if self.recipe_file.exists() or not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise RunError(f"{self.folder}: expected a folder, this is a file")
        others = sorted(
            path.name
            for path in self.folder.iterdir()
            if path.name not in self._beside and not path.name.startswith(".")
        )
        if others:
            more = ", ..." if len(others) > 3 else ""
            raise RunError(
                f"{self.folder}: not a run folder, it has no recipe.yaml but "
                f"{', '.join(others[:3])}{more}. Nothing was overwritten: "
                "choose another folder with --run"
            )

    def check(self, recipe: Recipe) -> list[str]:
        """Check that `recipe` may make the folder, or go on with it.

        Returns:
            What differs from the recipe that is kept, but may.

        Raises:
            RunError: as `check_folder`, or it belongs to another recipe.
        """
        self.check_folder()
        if not self.recipe_file.exists():
            return []
        kept = _flatten(load_recipe(self.recipe_file).model_dump(mode="json"))
        asked = _flatten(recipe.model_dump(mode="json"))
        differing = _differing(kept, asked)
        refused = [
            f"{key}={_text(kept.get(key))} there, {_text(asked.get(key))} here"
            for key in differing
            if not self._may_change(key, kept.get(key), asked.get(key))
        ]
        if refused:
            raise RunError(
                f"{self.folder}: belongs to another recipe "
                f"({'; '.join(refused)}). Choose another folder with --run"
            )
        return [
            f"{key}={_text(asked.get(key))} (was {_text(kept.get(key))})"
            for key in differing
        ]

    def keep(
        self, recipe: Recipe, fingerprint: Fingerprint, begun: bool
    ) -> None:
        """Check both, then write what is new or may have changed.

        Args:
            recipe: What is asked for.
            fingerprint: Of today's data.
            begun: Whether there are results that depend on them.

        Raises:
            RunError: as `check`, or the data has changed.
        """
        changes = self.check(recipe) if begun else []
        kept = self.fingerprint() if begun else {}
        if kept:
            self._check_fingerprint(kept, fingerprint)
        # Before there are results, another recipe may take its place.
        if changes or not begun or not self.recipe_file.exists():
            self.write_recipe(recipe)
        if changes:
            say(f"{self.recipe_file}: now {', '.join(changes)}")
        if not kept:
            with whole_file(self.fingerprint_file) as draft:
                draft.write_text(json.dumps(fingerprint, indent=2) + "\n")
        if begun and not kept:
            say(
                f"{self.folder}: had no fingerprint of its data, so that "
                "changes of it were not seen; today's is added"
            )

    def write_recipe(self, recipe: Recipe) -> None:
        with whole_file(self.recipe_file) as draft:
            recipe.save(draft)

    def fingerprint(self) -> Fingerprint:
        """What is kept; empty if there is none.

        Raises:
            RunError: it cannot be read.
        """
        if not self.fingerprint_file.exists():
            return {}
        try:
            kept = json.loads(self.fingerprint_file.read_bytes())
            return {name: dict(part) for name, part in kept.items()}
        except (ValueError, AttributeError, TypeError):
            raise RunError(
                f"{self.fingerprint_file}: damaged. Remove it if the data is "
                "still the same"
            ) from None

    def _may_change(self, key: str, kept: Any, asked: Any) -> bool:
        if key.startswith(_PLACES):
            return self.fingerprint_file.exists()
        return key.startswith(self._free) or (key in _RISING and asked > kept)

    def _check_fingerprint(self, kept: Fingerprint, now: Fingerprint) -> None:
        there, here = _flatten(kept), _flatten(now)
        texts = {
            key: f"{key}: {there.get(key)} there, {here.get(key)} here"
            for key in _differing(there, here)
        }
        changed = [t for k, t in texts.items() if not k.startswith("versions.")]
        if changed:
            raise RunError(
                f"{self.folder}: its data has changed ({'; '.join(changed)}). "
                "Give it back what it began with, or choose another folder "
                "with --run"
            )
        if texts:
            say(f"{self.folder}: began with other {'; '.join(texts.values())}")


def say(line: str) -> None:
    """Tell the user, beside the results on standard output."""
    print(line, file=sys.stderr, flush=True)


def _differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    keys = sorted(one.keys() | other.keys())
    return [key for key in keys if one.get(key) != other.get(key)]


def _text(value: Any) -> str:
    """Write a value as in a recipe."""
    return value if isinstance(value, str) else json.dumps(value)


def _flatten(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn nested sections into one dictionary with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
