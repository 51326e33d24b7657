"""The pages: their examples run, their links and names lead somewhere.

Examples of a page run in its order, in one namespace. Before one that cannot
run here stands a comment that says why: `<!-- not run: needs PyTorch -->`.
"""

import re
import shlex
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import yaml

from keras_recurrent.layers.attention import ATTENTIONS
from keras_recurrent.layers.attention_cell import Query
from keras_recurrent.layers.cells import CELLS
from keras_recurrent.pipelines.export import export
from keras_recurrent.pipelines.recipe import Recipe, load_recipe
from keras_recurrent.pipelines.run import Run
from tests.oracles import thorough

ROOT = Path(__file__).parents[1]
PAGES = {
    page.name: page
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))
}
TEXTS = {name: page.read_text("utf-8") for name, page in PAGES.items()}
EXAMPLE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?"
    r"```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# Files that other libraries wrote: from which golden values, of which names.
WRITTEN = {
    "weights": ("torch_lstm_bidirectional", "w/"),
    "addons": ("layer_norm_lstm_cell", "w/"),
    "decoder": ("decoder_gru_bahdanau", "wrap/w/"),
}


def examples(name, language):
    """The examples of a page that are to run, as matches."""
    return [
        match
        for match in EXAMPLE.finditer(TEXTS[name])
        if match["language"] == language and not match["reason"]
    ]


def pages_with(language):
    return sorted(name for name in PAGES if examples(name, language))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to run in, with what other programs would have left there."""
    for name, (golden, prefix) in WRITTEN.items():
        arrays = np.load(ROOT / "tests" / "golden" / f"{golden}.npz")
        weights = {
            key.removeprefix(prefix): arrays[key]
            for key in arrays
            if key.startswith(prefix)
        }
        np.savez(tmp_path / f"{name}.npz", **weights)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Pages that train models of some size.
SLOW = ("from-tensorflow-addons.md", "translation.md")


@pytest.mark.parametrize(
    "name",
    [thorough(name) if name in SLOW else name for name in pages_with("python")],
)
def test_python_examples_run(name, folder, seed, request):
    if "served/lstm" in TEXTS[name]:
        run = Run.open(request.getfixturevalue("trained"))
        export(run, folder / "served" / "lstm")
    names = {"__name__": "__main__"}
    for example in examples(name, "python"):
        # An error then shows the line of the page.
        above = TEXTS[name].count("\n", 0, example.start("code"))
        code = "\n" * above + example["code"]
        exec(compile(code, PAGES[name], "exec"), names)
    assert names.keys() - {"__name__", "__builtins__"}


@pytest.mark.parametrize("name", pages_with("sh"))
def test_commands_name_recipes_and_keys_that_exist(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    for example in examples(name, "sh"):
        code = example["code"].replace("\\\n", " ")
        for line in code.splitlines():
            words = shlex.split(line, comments=True)
            if words[:2] in (
                ["keras-recurrent", "train"],
                ["keras-recurrent", "tune"],
            ) and words[2].startswith("examples/"):
                assert load_recipe(
                    words[2], [word for word in words if "=" in word]
                )


@pytest.mark.parametrize("name", pages_with("yaml"))
def test_recipes_are_valid(name):
    for example in examples(name, "yaml"):
        assert Recipe.model_validate(yaml.safe_load(example["code"]))


def anchors(text):
    """What GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    prose = EXAMPLE.sub("", TEXTS[name])
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            target = PAGES[name].parent / path if path else PAGES[name]
            assert target.exists(), link
            if anchor:
                assert anchor in anchors(target.read_text("utf-8")), link


@pytest.mark.parametrize("name", PAGES)
def test_files_that_are_named_exist(name):
    tops = [top for top in ROOT.iterdir() if top.name[0] != "."]
    files = [str(file) for top in tops for file in (top, *top.rglob("*.*"))]
    code = r"`([\w/.-]+\.(?:py|md|toml)|[\w.-]+/[\w/.-]+\.yaml)`"
    for path in re.findall(code, TEXTS[name]):
        assert any(file.endswith(f"/{path}") for file in files), path


def test_every_cell_is_in_a_table():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", TEXTS["cells.md"], re.M)
    assert dict(rows) == {name: cell.__name__ for name, cell in CELLS.items()}


def test_every_attention_is_in_a_table():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", TEXTS["attention.md"], re.M)
    assert dict(rows) == {
        name: one.__name__ for name, one in ATTENTIONS.items()
    }


def test_every_query_is_in_a_table():
    _, _, section = TEXTS["attention.md"].partition("## Who asks")
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.M)) == set(
        get_args(Query)
    )
