"""One format for all texts that are read and written."""

import pytest

from keras_recurrent.pipelines.recipe import DataConfig, RecipeError
from keras_recurrent.pipelines.sources import load_pairs, read_texts
from keras_recurrent.pipelines.text_lines import (
    join_columns,
    read_lines,
    read_single_column,
)


def test_what_belongs_to_a_line():
    lines = [b"\xef\xbb\xbfa\r\n", b"\n", b" b\tc\n", "é\ufeff".encode()]
    assert list(read_lines(lines, "line")) == [
        (1, "a"),
        (2, ""),
        (3, " b\tc"),
        (4, "é\ufeff"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        # As `repr` shows it, a backslash is two.
        (b"caf\xe9", r"line 2: expected UTF-8. Received: 'caf\\xe9'"),
        (b"a" * 99 + b"\xff!", rf"UTF-8. Received: '{'a' * 30}\\xff!'"),
        (b"a\rb\r\n", r"line 2: expected lines that end in \n or \r\n"),
        (b"a\nb", "line 2: expected one line, no tabs"),
        (b"a\tb\n", "line 2: expected one line, no tabs"),
    ],
)
def test_malformed_lines(line, message):
    with pytest.raises(RecipeError) as error:
        list(read_single_column([b"good\n", line], "input, line"))
    assert message in str(error.value)
    assert str(error.value).startswith("input, line 2: ")


def test_what_is_written_is_what_is_read(tmp_path):
    """By the reader of training files, and to the letter."""
    sources = ['ab"c', '"', '""a""', "'q'", "a\\tb", "\\", " a ", "é☃", "a,b;c"]
    targets = ['"x"', "\\n", "a b", '"', "y", "z", '"\\"', "\u2028b", "\x0bc"]
    path = tmp_path / "data.tsv"
    rows = zip(sources, targets, strict=True)
    path.write_bytes("".join(map(join_columns, rows)).encode())
    files = {split: path for split in ("train", "validation", "test")}
    data = DataConfig.model_validate({"files": files})
    assert read_texts(load_pairs(data, "test")) == {
        "source": sources,
        "target": targets,
    }


def test_what_a_column_cannot_hold_is_written_as_two_characters():
    assert join_columns(["a\tb", "c\r\nd"]) == "a\\tb\tc\\r\\nd\n"
