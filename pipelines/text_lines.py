r"""The format of texts: lines of UTF-8, with columns separated by tabs.

A line ends in `\n` or `\r\n`; a byte order mark at its beginning is dropped.
There are neither quotes nor escapes: a column is all that stands between two
tabs, so it holds no tabs and no line breaks. Where a text that has some must
be written, they become two characters each: `\t`, `\n`, `\r`.
"""

import string
from collections.abc import Iterable, Iterator

from keras_recurrent.pipelines.recipe_file import RecipeError

_BYTE_ORDER_MARK = "\ufeff".encode()
_ESCAPES = str.maketrans({"\t": r"\t", "\n": r"\n", "\r": r"\r"})


class MalformedLine(RecipeError):
    """A line is not as expected.

    Args:
        place: where it is, such as `data.tsv, line 3`.
        expected: what it should have been.
        line: what it is.
    """

    def __init__(self, place: str, expected: str, line: bytes) -> None:
        self.expected = expected
        received = line[:60].decode("utf-8", "backslashreplace")
        super().__init__(
            f"{place}: expected {expected}. Received: {received!r}"
        )


def read_lines(lines: Iterable[bytes], name: str) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of each line, blank ones too.

    Args:
        lines: an opened binary file, or other lines, with or without ends.
        name: of a line in errors, before its number: `"data.tsv, line"`.

    Raises:
        RecipeError: a line is not UTF-8, or has a line break inside.
    """
    for number, line in enumerate(lines, start=1):
        yield number, read_line(line, f"{name} {number}")


def read_line(line: bytes, place: str) -> str:
    """Return the text of a line, without its end.

    Args:
        line: what stands in the file, with or without its end.
        place: of the line, for errors.

    Raises:
        MalformedLine: it is not UTF-8, or has a line break inside.
    """
    line = line.removeprefix(_BYTE_ORDER_MARK)
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        around = line[max(error.start - 30, 0) :]
        raise MalformedLine(place, "UTF-8", around) from None
    if "\r" in text:  # TextLineDataset would drop it
        raise MalformedLine(place, r"lines that end in \n or \r\n", line)
    return text


def read_single_column(lines: Iterable[bytes], name: str) -> Iterator[str]:
    """Yield texts that are one line and one column each; see `read_lines`.

    Raises:
        RecipeError: a text cannot be read, or has a tab or a line break.
    """
    for number, line in read_lines(lines, name):
        if "\t" in line or "\n" in line:
            expected = "one line, no tabs (`cut -f1` takes the first column)"
            raise MalformedLine(f"{name} {number}", expected, line.encode())
        yield line


def is_blank(line: str) -> bool:
    """Whether a line has nothing but ASCII white space."""
    return not line.strip(string.whitespace)


def join_columns(columns: Iterable[str]) -> str:
    """Return a line, with its end."""
    return "\t".join(c.translate(_ESCAPES) for c in columns) + "\n"
