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


def read_lines(lines: Iterable[bytes], name: str) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of each line, blank ones too.

    Args:
        lines: an opened binary file, or other lines, with or without ends.
        name: of a line in errors, before its number: `"data.tsv, line"`.

    Raises:
        RecipeError: a line is not UTF-8, or has a line break inside.
    """
    for number, line in enumerate(lines, start=1):
        line = line.removeprefix(_BYTE_ORDER_MARK)
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            around = line[max(error.start - 30, 0) :]
            raise malformed(f"{name} {number}", "UTF-8", around) from None
        if "\r" in text:  # TextLineDataset would drop it
            expected = r"lines that end in \n or \r\n"
            raise malformed(f"{name} {number}", expected, line)
        yield number, text


def read_single_column(lines: Iterable[bytes], name: str) -> Iterator[str]:
    """Yield texts that are one line and one column each; see `read_lines`.

    Raises:
        RecipeError: a text cannot be read, or has a tab or a line break.
    """
    for number, line in read_lines(lines, name):
        if "\t" in line or "\n" in line:
            expected = "one line, no tabs (`cut -f1` takes the first column)"
            raise malformed(f"{name} {number}", expected, line.encode())
        yield line


def is_blank(line: str) -> bool:
    """Whether a line has nothing but ASCII white space."""
    return not line.strip(string.whitespace)


def join_columns(columns: Iterable[str]) -> str:
    """Return a line, with its end."""
    return "\t".join(c.translate(_ESCAPES) for c in columns) + "\n"


def malformed(place: str, expected: str, line: bytes) -> RecipeError:
    """Return the error that says where a line is not as expected."""
    received = line[:60].decode("utf-8", "backslashreplace")
    return RecipeError(f"{place}: expected {expected}. Received: {received!r}")
