"""Reading recipe files, and saying in one line what is wrong with them."""

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pydantic
import yaml


class RecipeError(ValueError):
    """A recipe, its data or a text cannot be used; says why in one line."""


# Where pydantic speaks of Python types, say what it means in YAML.
_PROBLEMS = {
    "extra_forbidden": "unknown key.",
    "missing": "this key is required",
    "model_type": "expected a section of keys",
    "path_type": "expected a path",
    "too_short": "expected at least one value",
    "tuple_type": "expected a list",
}


class _Loader(yaml.SafeLoader):
    """YAML 1.1 with two of its traps removed.

    Numbers such as `1e-3` are numbers, not strings; a key that is given twice
    is an error.
    """

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def read_settings(path: str | Path) -> dict[str, Any]:
    """Read a YAML file of sections; an empty section is left out.

    Raises:
        RecipeError: no such file, not UTF-8, broken YAML or not a mapping.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not UTF-8 text: {error}") from None
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}") from None
    settings = _parse(text, str(path))
    if not isinstance(settings, dict):
        raise RecipeError(
            f"{path}: expected sections such as `data:`. "
            f"Received: {_shorten(settings)}"
        )
    return {k: v for k, v in settings.items() if v is not None}


def apply_override(settings: dict[str, Any], override: str) -> str:
    """Apply `section.key=value` to `settings` in place; return the key.

    Raises:
        RecipeError: there is no `=`, no key, or the value is broken YAML.
    """
    key, equals, value = override.partition("=")
    if not equals or not all(key.split(".")):
        raise RecipeError(
            f"override {override!r}: expected section.key=value, "
            "such as training.epochs=3"
        )
    *sections, name = key.split(".")
    for section in sections:
        if settings.get(section) is None:
            settings[section] = {}
        settings = settings[section]
        if not isinstance(settings, dict):
            raise RecipeError(
                f"override {override}: {section!r} is a value, not a section"
            )
    settings[name] = _parse(value, f"override {override}")
    return key


def describe(
    error: pydantic.ValidationError,
    recipe: type[pydantic.BaseModel],
    path: str,
    overridden: Sequence[str],
) -> str:
    """Say in one line where the first error is, what was given, what is wrong.

    Args:
        error: what validation raised.
        recipe: the model that was validated; its keys are the known ones.
        path: the recipe's file, named unless the key was overridden.
        overridden: the keys that did not come from the file.
    """
    first, *others = error.errors()
    places = map(str, first["loc"])
    key = ".".join(part for part in places if not part.startswith("<"))
    unknown = first["type"] == "extra_forbidden"
    origin = path
    for given in overridden:
        if _within(key, given) or (unknown and _within(given, key)):
            origin = "override"
    what = f"{key}={_shorten(first['input'])}"
    if first["type"] == "missing" or (
        # A check across the keys of a section quotes what matters itself.
        first["type"] == "value_error" and isinstance(first["input"], dict)
    ):
        what = key
    problem = _PROBLEMS.get(first["type"], first["msg"])
    problem = problem.removeprefix("Value error, ")
    if unknown:
        problem = f"{problem} {_suggest(key, recipe)}"
    more = f" (and {len(others)} more)" if others else ""
    # A check across sections has no key of its own.
    return ": ".join(filter(None, (origin, what, f"{problem}{more}")))


def _within(key: str, section: str) -> bool:
    return f"{key}.".startswith(f"{section}.")


def _parse(text: str, origin: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        problem = " ".join(problem.split())
        raise RecipeError(f"{origin}{place}: broken YAML: {problem}") from None


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _keys(model: type[pydantic.BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted key of every section and value of `model`."""
    for name, field in model.model_fields.items():
        yield prefix + name
        for kind in (field.annotation, *_arguments(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
                yield from _keys(kind, f"{prefix}{name}.")


def _arguments(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__args__", ())


def _suggest(key: str, model: type[pydantic.BaseModel]) -> str:
    """Name the known key that is most like `key`, or its section's keys."""
    section, _, name = key.rpartition(".")

    def likeness(known: str) -> float:
        place, _, known_name = known.rpartition(".")
        ratio = difflib.SequenceMatcher(None, name, known_name).ratio()
        return ratio + 0.1 * (place == section)

    known = list(_keys(model))
    closest = max(known, key=likeness)
    if likeness(closest) >= 0.7:
        return f"Did you mean {closest}?"
    places = [k.rpartition(".") for k in known]
    siblings = [name for place, _, name in places if place == section]
    return f"Known keys: {', '.join(siblings)}"
