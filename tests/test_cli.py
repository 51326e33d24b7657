"""The command line, as a user meets it.

Tests `__main__.py` and `commands.py`.
"""

import errno
import gc
import gzip
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tensorflow as tf
from typer.testing import CliRunner

from keras_recurrent import __version__, cli, commands

COMMANDS = (
    "demo",
    "data",
    "train",
    "tune",
    "evaluate",
    "compare",
    "predict",
    "export",
)


def call(*arguments, **kwargs):
    return CliRunner().invoke(cli.app, list(map(str, arguments)), **kwargs)


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "keras_recurrent", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What a shell runs in the background ignores it, and so its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"]])
def test_help_needs_no_tensorflow(arguments):
    probe = (
        "import sys; from keras_recurrent.cli import app;"
        f"app({arguments}, standalone_mode=False);"
        "print('heavy:', {'tensorflow', 'keras'} & set(sys.modules))"
    )
    process = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.splitlines()[-1] == "heavy: set()"


def test_every_command_explains_itself_with_an_example():
    listed = call("--help").output
    for command in COMMANDS:
        assert command in listed
        result = call(command, "--help", env={"COLUMNS": "100"})
        assert result.exit_code == 0
        assert f"keras-recurrent {command}" in result.output
        assert re.search("Examples?:", result.output)


def test_version():
    assert call("--version").output.strip() == __version__


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "{tmp}/none.yaml"], "none.yaml"),
        (["train", "{letters}/letters.yaml", "model.size=3"], "model.size"),
        (["train", "{letters}/letters.yaml", "model.units=x"], "model.units"),
        (["train", "{letters}/letters.yaml", "units"], "section.key=value"),
        (["tune", "{tmp}/none.yaml"], "none.yaml"),
        (["evaluate", "{tmp}/none"], "no such run folder"),
        (["predict", "{tmp}", "text"], "not a run folder"),
        (["export", "{letters}", "{tmp}/out"], "not a run folder"),
        (["export", "{trained}", "{trained}"], "not empty"),
        (["evaluate", "{trained}", "model.units=3"], "fixed in training"),
        (["evaluate", "{trained}", "beam_width=3"], "key of decoding or eval"),
        (["evaluate", "{trained}", "decoding.beam_width=x"], "decoding.beam_w"),
        (["predict", "{trained}", "decoding.beam_with=1"], "beam_width?"),
        (["predict", "{trained}", "decoding.beam_width=0"], "greater than 0"),
        (["export", "{trained}", "{tmp}/out", "evaluation.token=x"], "of dec"),
        (
            ["train", "{letters}/letters.yaml", "--run", "{trained}"],
            "training.epochs=20 there, 3 here",
        ),
        (
            ["train", "{letters}/letters.yaml", "data.files.train=no.tsv"]
            + ["--run", "{tmp}/run"],
            "no.tsv",
        ),
        (["train", "{letters}/letters.yaml", "--run", "{file}"], "{file}"),
        (
            ["train", "{letters}/letters.yaml", "--run", "{tmp}"],
            "not a run folder, it has no recipe.yaml but file",
        ),
        (
            ["tune", "{letters}/letters.yaml", "tuning.space={{}}"]
            + ["--run", "{tmp}/run"],
            "nothing to search",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_mistakes_are_one_line(arguments, message, letters, trained, tmp_path):
    file = tmp_path / "file"
    file.touch()
    places = {
        "tmp": tmp_path,
        "letters": letters,
        "trained": trained,
        "file": file,
    }
    result = call(*(a.format(**places) for a in arguments))
    assert result.exit_code == 2
    assert result.stdout in ("", "Reading the data ...\n")
    (line,) = result.stderr.splitlines()
    assert line.startswith("keras-recurrent: ")
    assert message.format(**places) in line


@pytest.fixture
def read_only(trained, tmp_path, monkeypatch):
    """A run in a folder where nothing can be written, not even by root."""
    folder = tmp_path / "read-only"
    shutil.copytree(trained, folder / "run")

    def guard(module, name, writes):
        call = getattr(module, name)

        def guarded(path, *arguments, **options):
            if (
                isinstance(path, str | os.PathLike)
                and Path(path).absolute().is_relative_to(folder)
                and writes(path, *arguments)
            ):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            return call(path, *arguments, **options)

        monkeypatch.setattr(module, name, guarded)

    # What Python writes goes by one of these.
    guard(os, "mkdir", lambda path, *_: not Path(path).exists())
    guard(os, "open", lambda _, flags, *__: flags & (os.O_WRONLY | os.O_RDWR))
    guard(io, "open", lambda _, mode="r", *__: set(mode) & set("wax+"))
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "{folder}/run"],
        ["export", "{folder}/run", "{folder}/new"],
        ["train", "{folder}/run/recipe.yaml", "training.epochs=99"]
        + ["--run", "{folder}/run"],
        ["train", "{folder}/run/recipe.yaml", "--run", "{folder}/new"],
        ["tune", "{folder}/run/recipe.yaml", "--run", "{folder}/run"],
        ["tune", "{folder}/run/recipe.yaml", "--run", "{folder}/new"],
        ["data", "{folder}/run/recipe.yaml", "--picture", "{folder}/a.png"],
        ["prepare", "{folder}/run/recipe.yaml", "{folder}/new"],
    ],
    ids=" ".join,
)
def test_where_nothing_can_be_written(arguments, read_only):
    before = {p: p.stat().st_mtime_ns for p in read_only.rglob("*")}
    result = call(*(a.format(folder=read_only) for a in arguments))
    assert result.exit_code == 2
    # Before anything is decoded or drawn.
    assert "%" not in result.stdout
    line = result.stderr.splitlines()[-1]
    assert line.startswith(f"keras-recurrent: {read_only}")
    assert "Read-only file system" in line
    after = {p: p.stat().st_mtime_ns for p in read_only.rglob("*")}
    assert after == before


def test_what_needs_nothing_written(read_only, tmp_path):
    run = read_only / "run"
    assert call("predict", run, "abc").exit_code == 0
    assert call("export", run, tmp_path / "export").exit_code == 0
    assert (tmp_path / "export" / "saved_model.pb").exists()


def test_a_second_command_freezes_nothing():
    """The demonstration has several in one process."""
    before = gc.get_freeze_count()
    commands.load_tensorflow()
    assert gc.get_freeze_count() == before
    assert gc.isenabled()


def test_predict_texts(trained):
    result = call("predict", trained, "abca", "DD")
    assert result.exit_code == 0
    assert result.stdout == "abca\tA C B A\nDD\tD D\n"


def test_predict_lines(trained):
    """Read as training reads its files; a blank line has an answer, too."""
    result = call("predict", trained, input=b"\xef\xbb\xbfab\r\n\ncab")
    assert result.exit_code == 0
    assert result.stdout == "ab\tB A\n\t\ncab\tB A C\n"


@pytest.mark.parametrize(
    ("arguments", "lines", "message"),
    [
        ([], b"ab\n\xff\n", "standard input, line 2: expected UTF-8. Receiv"),
        (["ab", "c\udcff"], b"", "text 2: expected UTF-8. Received: 'c"),
        ([], b"ab\tB A\n", "standard input, line 1: expected one line, no ta"),
        (["a\nb"], b"", "text 1: expected one line, no tabs"),
    ],
)
def test_texts_that_cannot_be_read(trained, arguments, lines, message):
    result = call("predict", trained, *arguments, input=lines)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"keras-recurrent: {message}")


def test_predict_nothing(trained):
    result = call("predict", trained, "decoding.beam_width=1", input="")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Standard input was empty" in result.stderr


def test_texts_that_begin_with_a_hyphen(trained):
    for text in ("-5 dogs", "--beams", "-h"):
        result = call("predict", trained, text)
        assert (result.exit_code, result.stdout) == (2, "")
        (line,) = result.stderr.splitlines()
        assert re.search("keras-recurrent predict RUN -- '?-", line)
    result = call("predict", trained, "--", "-", "--help")
    assert result.exit_code == 0
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == [
        "-",
        "--help",
    ]


def test_other_settings_for_decoding(trained, tmp_path):
    shorter = "decoding.max_length=2"
    # On standard input, what looks like a setting is a text.
    for arguments, lines, count in (
        (["decoding.beam_width=1", "abca", shorter, "d"], "", 2),
        ([shorter, "decoding.beam_width=1"], "abca\nd\n" + shorter, 3),
    ):
        result = call("predict", trained, *arguments, input=lines)
        assert result.exit_code == 0
        rows = result.stdout.splitlines()
        assert rows[:2] == ["abca\tA C", "d\tD"]
        assert len(rows) == count
        assert f"{count - 1} of {count} results were cut" in result.stderr
        assert "decoding.max_length=2 tokens" in result.stderr
    shutil.copytree(trained, tmp_path / "run")
    result = call(
        "evaluate", tmp_path / "run", shorter, "evaluation.max_examples=3"
    )
    assert result.exit_code == 0
    written = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert (written["sequences"], written["decoding"]["max_length"]) == (3, 2)
    result = call("export", tmp_path / "run", tmp_path / "out", shorter)
    assert result.exit_code == 0
    loaded = tf.saved_model.load(str(tmp_path / "out"))
    outputs = loaded.signatures["serving_default"](text=tf.constant(["abca"]))
    assert outputs["alignments"].shape[1] == 2
    # The run keeps its own.
    recipe = (tmp_path / "run" / "recipe.yaml").read_text()
    assert recipe == (trained / "recipe.yaml").read_text()


def test_predict_with_scores_and_alignments(trained, tmp_path):
    lines = ["abca", "d", "", "bc"] * 3
    plain = tmp_path / "texts.txt"
    plain.write_text("".join(f"{line}\n" for line in lines))
    packed = tmp_path / "texts.txt.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))

    def rows(*options):
        result = call("predict", trained, *options)
        assert result.exit_code == 0, result.output
        return [row.split("\t") for row in result.output.split("\n")[:-1]]

    expected = rows("--input", plain)
    assert [source for source, _ in expected] == lines
    found = rows(
        "--input", packed, "--n-best", 2, "--scores", "--alignments"
    )  # fmt: skip
    assert len(found) == 2 * len(lines)
    assert [row[:2] for row in found[::2]] == expected
    for best, other in zip(found[::2], found[1::2], strict=True):
        assert best[0] == other[0]
        assert 0 >= float(best[2]) >= float(other[2])
        assert len(best[3].split()) == len(best[1].split())

    texts = rows("--format", "text", *lines[:2])
    assert [row[0] for row in texts] == [row[1] for row in expected[:2]]
    objects = call("predict", trained, "--format", "jsonl", *lines[:2]).output
    for line, (source, prediction) in zip(
        objects.splitlines(), expected, strict=False
    ):
        one = json.loads(line)
        assert one["source"] == source
        assert one["hypotheses"][0]["text"] == prediction


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--input", "{trained}/recipe.yaml", "a"], "not both"),
        (["--n-best", "4", "a"], "more than decoding.beam_width=3"),
        (["--input", "{trained}/none"], "none: No such file"),
        (["--format", "xml", "a"], "xml"),
    ],
)
def test_predict_options_that_do_not_fit(trained, options, message):
    options = [option.format(trained=trained) for option in options]
    result = call("predict", trained, *options)
    assert result.exit_code == 2
    assert message in result.output


def test_evaluate_on_files_and_compare(trained, letters, tmp_path):
    runs = tmp_path / "one", tmp_path / "other"
    for run in runs:
        shutil.copytree(trained, run)
    pairs = (letters / "validation.tsv").read_text().splitlines()
    for column, side in enumerate(("letters", "names")):
        lines = [f"{pair.split(chr(9))[column]}\n" for pair in pairs]
        (tmp_path / side).write_text("".join(lines))
    sides = tmp_path / "letters", tmp_path / "names"
    whole = call("evaluate", runs[0], "--files", letters / "validation.tsv")
    assert whole.exit_code == 0, whole.output
    assert "validation.tsv: 40 words" in whole.output
    halves = call("evaluate", runs[0], "--parallel", *sides)
    assert halves.exit_code == 0, halves.output
    names = ("validation.tsv", "letters")
    numbers = [
        json.loads((runs[0] / f"evaluation.{name}.json").read_text())
        for name in names
    ]
    assert numbers[0]["edits"] == numbers[1]["edits"]
    assert not (runs[0] / "evaluation.json").exists()

    # What has the name of another set would overwrite its results.
    for name in ("test", "letters"):
        (tmp_path / "same").mkdir(exist_ok=True)
        twin = tmp_path / "same" / name
        shutil.copy(letters / "validation.tsv", twin)
        same = call("evaluate", runs[0], "--files", twin, "--parallel", *sides)
        assert same.exit_code == 2
        assert "must have different names" in same.output

    call("evaluate", runs[1], "--parallel", *sides, "decoding.beam_width=1")
    result = call("compare", *runs, "--set", "letters")
    assert result.exit_code == 0, result.output
    assert "letters: 40 sources" in result.output
    result = call("compare", *runs)
    assert result.exit_code == 2
    assert "has not been evaluated on 'test'" in result.output


def test_data(letters, tmp_path):
    picture = tmp_path / "lengths.png"
    result = call(
        "data",
        letters / "letters.yaml",
        "training.max_examples=100",
        "--picture",
        picture,
        env={"COLUMNS": "100"},
    )
    assert result.exit_code == 0, result.output
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert re.search(r"train . +100 . +source", result.output)
    assert re.search(r"batches an epoch +. +7", result.output)
    first = (letters / "train.tsv").read_text().splitlines()[0]
    source, target = first.split("\t")
    spelled = " ".join(source)
    assert re.search(rf"source +. {source} +. {spelled}", result.output)
    assert re.search(rf"target +. {target} +. {target}", result.output)


def test_evaluate_and_export(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    result = call("evaluate", tmp_path / "run")
    assert result.exit_code == 0
    assert "letter error rate (LER)" in result.stdout
    rate = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert f"{rate['token_error_rate']:.2%}" in result.stdout
    result = call("export", tmp_path / "run", tmp_path / "out")
    assert result.exit_code == 0
    assert (tmp_path / "out" / "saved_model.pb").exists()


def test_runs_together(trained, barely_trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    others = ["--with", barely_trained]
    scores = [
        call("predict", run, *more, "--scores", "--", "abca", "d").output
        for more in ([], others)
    ]
    assert [len(text.splitlines()) for text in scores] == [2, 2]
    assert scores[0] != scores[1]
    result = call("evaluate", run, *others)
    assert result.exit_code == 0, result.output
    assert "ensemble of 2 runs" in result.stdout
    assert f"Numbers: {run / 'evaluation+other.json'}" in result.stdout
    assert f"predict {run} --with {barely_trained} TEXT" in result.stdout
    assert not (run / "evaluation.json").exists()
    result = call("export", run, tmp_path / "out", *others)
    assert result.exit_code == 0, result.output
    loaded = tf.saved_model.load(str(tmp_path / "out"))
    outputs = loaded.signatures["serving_default"](text=tf.constant(["abca"]))
    score = float(scores[1].splitlines()[0].split("\t")[2])
    assert float(outputs["scores"][0]) == pytest.approx(score, abs=1e-3)
    for command in ("evaluate", "predict", "export"):
        arguments = [tmp_path / "new"] * (command == "export")
        result = call(command, run, *arguments, "--with", run)
        assert (result.exit_code, result.stdout) == (2, "")
        (line,) = result.stderr.splitlines()
        assert line == f"keras-recurrent: {run}: was given twice"


def test_the_run_folder_is_named_after_the_recipe(
    letters, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    small = ["model.cell=simple_rnn", "model.bidirectional=false"]
    result = call(
        "train", letters / "letters.yaml", "training.epochs=1", *small
    )
    assert result.exit_code == 0, result.output
    assert (tmp_path / "runs" / "letters" / "model.keras").exists()
    assert "keras-recurrent evaluate runs/letters" in result.stdout


def test_a_finished_run_is_said_to_be(letters, trained):
    result = call(
        "train",
        letters / "letters.yaml",
        "training.epochs=20",
        "--run",
        trained,
    )
    assert result.exit_code == 0
    said = f"{trained}: training is finished already, after 20 of 20 epochs.\n"
    assert said in result.stdout
    assert result.stderr == ""


@pytest.mark.thorough
def test_interrupted_by_a_signal_and_resumed(letters, tmp_path):
    run = tmp_path / "run"
    metrics = run / "metrics.jsonl"
    command = (
        "train",
        letters / "letters.yaml",
        # Nothing improves measurably: it ends when patience does.
        "training.epochs=400",
        "training.patience=8",
        "training.learning_rate=1e-30",
        "training.max_examples=64",
        "model.cell=simple_rnn",
        "model.bidirectional=false",
        "--run",
        run,
    )
    process = start(*command)
    while not metrics.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=600)
    assert process.returncode == 130
    (line,) = stderr.strip().splitlines()
    assert "Interrupted" in line
    assert "same command again" in line
    before = metrics.read_text().splitlines()

    process = start(*command)
    stdout, stderr = process.communicate(timeout=600)
    assert process.returncode == 0, stderr
    after = metrics.read_text().splitlines()
    assert after[: len(before)] == before
    assert len(after) > len(before)
    numbers = [json.loads(line)["epoch"] for line in after]
    assert numbers == list(range(1, len(after) + 1))


def test_a_reader_that_leaves_is_no_error(trained):
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run(
        [sys.executable, "-m", "keras_recurrent", "predict", trained, "ab"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    assert process.returncode == 1
    assert process.stderr == ""
