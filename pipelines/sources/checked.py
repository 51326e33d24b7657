"""Lines that hold no pair: told of, or an error."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import tensorflow as tf

from keras_recurrent.pipelines.origin import say
from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.sources.selected import without
from keras_recurrent.pipelines.text_lines import MalformedLine

# A line that holds nothing and is skipped without a word.
BLANK = ""


class Line(NamedTuple):
    """What a check has found in a line."""

    place: str
    """Where it is, for errors."""
    expected: str | None
    """What it should have been; None if it is a pair, `BLANK` if nothing."""
    received: bytes = b""
    """What it is."""


class Checked(NamedTuple):
    """Which lines are pairs."""

    pairs: int
    """How many there are."""
    skipped: list[int]
    """The numbers of the other lines, from 0."""
    malformed: int
    """How many of those hold something."""

    def only_pairs(self, lines: tf.data.Dataset) -> tf.data.Dataset:
        """Leave out what is skipped."""
        return without(lines, self.skipped)


def check(lines: Iterable[Line], name: str, skip_malformed: bool) -> Checked:
    """See which lines are pairs.

    Args:
        lines: What has been found in each line.
        name: What they are called in errors.
        skip_malformed: Whether to skip lines that are no pair, and to say how
            many and where the first of each kind is.

    Raises:
        RecipeError: a line is no pair, and is not to be skipped; or none is
            one.
    """
    count = 0
    skipped: list[int] = []
    reasons: Counter[str] = Counter()
    first: dict[str, str] = {}
    for number, (place, expected, received) in enumerate(lines):
        if expected is None:
            count += 1
            continue
        skipped.append(number)
        if expected == BLANK:
            continue
        if not skip_malformed:
            raise MalformedLine(place, expected, received)
        reasons[expected] += 1
        first.setdefault(expected, place)
    if reasons:
        listed = "; ".join(
            f"{times:,} where {expected} was expected (first: "
            f"{first[expected]})"
            for expected, times in reasons.most_common()
        )
        say(
            f"{name}: {reasons.total():,} of {count + len(skipped):,} lines "
            f"are skipped: {listed}"
        )
    if not count:
        raise RecipeError(f"{name}: the file has no pairs")
    return Checked(count, skipped, reasons.total())
