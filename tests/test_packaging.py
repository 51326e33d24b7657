"""What is installed: all sub-packages, under one name, with their data.

Tests `version.py`.
"""

import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"][
    "setuptools"
]


def test_make_help_lists_every_target():
    (targets,) = re.findall(
        r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    shown = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    listed = re.findall(r"^make (\S+)\t.", shown.stdout, re.MULTILINE)
    assert listed == targets.split()


def test_every_package_is_listed():
    found = set()
    for name, folder in SETUP["package-dir"].items():
        top = ROOT / folder
        for init in top.rglob("__init__.py"):
            nested = init.parent.relative_to(top).parts
            places = [top.joinpath(*nested[:n]) for n in range(1 + len(nested))]
            # Links are made by editable installs.
            if not any(place.is_symlink() for place in places):
                found.add(".".join((name, *nested)))
    assert found == set(SETUP["packages"])


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what is under version control, or would be."""
    copy = tmp_path_factory.mktemp("source")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        file = ROOT / name
        if file.is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(file.read_bytes())
    return copy


def build(source, hook):
    """The path of what a hook of the build backend makes of `source`."""
    program = f"from setuptools.build_meta import {hook}; {hook}('dist/{hook}')"
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (path,) = (source / "dist" / hook).glob("*.whl")
    return path


@pytest.fixture(scope="module")
def wheel(source):
    return build(source, "build_wheel")


def install(wheel, folder):
    """The interpreter of a new environment that holds `wheel` alone."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install"]
    subprocess.run(
        [*pip, "--quiet", "--no-deps", "--no-index", str(wheel)],
        check=True,
    )
    return python


def test_the_wheel_has_one_name_at_the_top_and_all_data(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "keras_recurrent"
    }
    for name in (
        "keras_recurrent/py.typed",
        "keras_recurrent/demo.yaml",
        "keras_recurrent/layers/__init__.py",
        "keras_recurrent/layers/cells/gru_cell.py",
        "keras_recurrent/pipelines/cmudict/NOTICE.md",
        "keras_recurrent/pipelines/cmudict/train.tsv.xz",
        "keras_recurrent/pipelines/cmudict/test.tsv.xz",
    ):
        assert name in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.thorough
def test_the_wheel_works_in_an_environment_of_its_own(wheel, tmp_path):
    """Of its own but for the dependencies, which would take minutes."""
    python = install(wheel, tmp_path / "venv")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = tmp_path / "venv" / "lib" / version / "site-packages"
    # Not through a .pth file: that would run those of editable installs.
    probe = f"""
import importlib.util, sys
sys.path.append({str(Path(pytest.__file__).parents[1])!r})
import keras_recurrent.layers
assert keras_recurrent.layers.__file__.startswith({str(site)!r})
from keras_recurrent.layers import GRU
for name in ("layers", "models", "pipelines", "tuning", "tests"):
    assert importlib.util.find_spec(name) is None, name
    if name != "tests":
        assert importlib.util.find_spec("keras_recurrent." + name), name
from keras_recurrent.cli import main
sys.argv[1:] = ["--version"]
main()
"""
    process = subprocess.run(
        [python, "-E", "-c", probe],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == "0.1.0"
    assert (site.parents[2] / "bin" / "keras-recurrent").exists()


USER = """
import keras_recurrent.models
import keras_recurrent.pipelines
import keras_recurrent.tuning
from keras_recurrent.layers import LSTM

LSTM("many")
"""


def test_type_checkers_see_an_editable_install(source, tmp_path):
    python = install(build(source, "build_editable"), tmp_path / "venv")
    (tmp_path / "user.py").write_text(USER)
    process = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "user.py"),
            *("--python-executable", python, "--cache-dir", tmp_path / "cache"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    # That one line is wrong is only seen by who found the class.
    (error, _) = process.stdout.splitlines()
    assert 'incompatible type "str"; expected "int"' in error
