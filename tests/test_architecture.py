"""What imports what, how long files are, and where each is tested."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import keras_recurrent

PACKAGE = Path(keras_recurrent.__file__).parent
TESTS = Path(__file__).parent
FOLDERS = ("layers", "models", "pipelines", "tuning")
# Each may import those before it; what stands on one line, each other too.
FLOORS = (
    ("layers.ops", "version"),
    ("layers.attention", "layers.cells"),
    ("layers.loops",),
    ("layers",),
    ("layers.convert",),
    ("models",),
    ("pipelines",),
    ("tuning",),
)


def imports(file):
    """Names of our modules that a module imports when it is imported."""
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            names |= {
                name
                for alias in node.names
                for name in (f"{node.module}.{alias.name}", node.module)
            }
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def modules():
    files = {}
    for folder in (PACKAGE, *(PACKAGE / top for top in FOLDERS)):
        pattern = "*.py" if folder == PACKAGE else "**/*.py"
        for file in folder.glob(pattern):
            parts = file.relative_to(PACKAGE).with_suffix("").parts
            # What `__init__` exports is no part that others stand on.
            if parts[-1] != "__init__":
                files[".".join(("keras_recurrent", *parts))] = file
    return files


MODULES = modules()
GRAPH = {
    name: imports(file) & (MODULES.keys() - {name})
    for name, file in MODULES.items()
}


def floor_of(name):
    """The number of the floor of a module; the command line is on top."""
    inner = name.removeprefix("keras_recurrent.")
    found = [
        (len(folder), number)
        for number, floor in enumerate(FLOORS)
        for folder in floor
        if f"{inner}.".startswith(f"{folder}.")
    ]
    return max(found)[1] if found else len(FLOORS)


def test_all_modules_are_seen():
    assert "keras_recurrent.layers.cells.lstm_cell" in GRAPH
    assert GRAPH["keras_recurrent.layers.rnn"]
    assert len(GRAPH) > 100


def test_no_circle():
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(f"A circle of imports: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("name", GRAPH)
def test_floors(name):
    above = [other for other in GRAPH[name] if floor_of(other) > floor_of(name)]
    assert not above


def head_of(file):
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""


def test_long_files_say_why():
    silent = [
        name
        for name, file in MODULES.items()
        if len(file.read_text(encoding="utf-8").splitlines()) > 320
        and "Longer than other files: " not in head_of(file)
    ]
    assert not silent


def test_the_mirror():
    """A file is tested in one of its name, or in one that names it."""
    named = {
        TESTS / test.relative_to(TESTS).parent / name
        for test in TESTS.rglob("test_*.py")
        for name in re.findall(r"`([\w/]+\.py)`", head_of(test))
    }
    untested = []
    for name, file in MODULES.items():
        own = TESTS / file.relative_to(PACKAGE)
        if own not in named and not own.with_name(f"test_{own.name}").exists():
            untested.append(name)
    assert not untested
    # And what is named is there.
    known = {TESTS / file.relative_to(PACKAGE) for file in MODULES.values()}
    assert sorted(named - known) == []
