"""Dates as people write them, and in ISO 8601, as a TensorFlow dataset."""

import datetime
import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import tensorflow_datasets as tfds

_FIRST, _LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)
_SIZE = 10_000
_WORLD = "world"
# Those of `world`: many scripts, and no two that write different dates in the
# same way. (A Croatian October is a Polish November.)
LOCALES = (
    "ar bg ca cs da de el en en_GB es et eu fa fi fr ga he hi hu id is it ja "
    "ko lt lv nb nl pl pt ro ru sl sq sv sw tr uk vi zh"
).split()
_STYLES = ("full", "long", "medium", "short")
_SKELETONS = ("yMMMd", "yMMMEd")


@dataclass(eq=False)
class DatesConfig(tfds.core.BuilderConfig):
    """Which locales, and how many pairs for training."""

    locales: tuple[str, ...] = ()
    size: int = _SIZE


class Dates(tfds.core.GeneratorBasedBuilder):
    """Dates from 1900 to 2099, written by the rules of Unicode's CLDR.

    `dates/en` has 10,000 English ones for training, and a tenth of it each for
    validation and test; `dates/de-50000` 50,000 German ones, of any locale of
    Babel; `dates/world-1000000` a million in 40 locales. A day is in one split
    only, however it is written, and a pair occurs once.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS = [
        DatesConfig(name="en", locales=("en",)),
        DatesConfig(name=_WORLD, locales=tuple(LOCALES)),
    ]

    def get_builder_config(
        self, name: str, version: Any = None
    ) -> DatesConfig | None:
        """Return the configuration of a name, which says locale and size."""
        if known := super().get_builder_config(name, version):
            return known
        from babel import UnknownLocaleError

        match = re.fullmatch(r"(\w+?)(?:-([1-9]\d*))?", name)
        if match is None:
            return None
        locale, size = match[1], int(match[2] or _SIZE)
        locales = tuple(LOCALES) if locale == _WORLD else (locale,)
        try:
            _ways_to_write(locales)
        except (UnknownLocaleError, ValueError):
            return None
        return DatesConfig(
            name=name, version=version, locales=locales, size=size
        )

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "Dates from 1900 to 2099 as people write them, and in ISO "
                f"8601. Locales: {', '.join(config.locales)}. Size: "
                f"{config.size:,} pairs for training, a tenth of it for "
                "validation and for test. How made: days, locales and formats "
                "(long and short ones of Unicode's CLDR, with all digits of "
                "the year; of several locales those alone that do not leave "
                "open which number is the month) are drawn at random from a "
                "fixed seed and written by Babel. A day is in one split only, "
                "and no pair occurs twice."
            ),
            features=tfds.features.FeaturesDict(
                {"written": tfds.features.Text(), "iso": tfds.features.Text()}
            ),
            supervised_keys=("written", "iso"),
            homepage="https://cldr.unicode.org",
            license=(
                "Names and formats: Unicode License v3, "
                "https://www.unicode.org/license.txt"
            ),
            citation=(
                "@misc{cldr,\n"
                "  title = {Unicode Common Locale Data Repository},\n"
                "  author = {{Unicode Consortium}},\n"
                "  howpublished = {https://cldr.unicode.org}\n}"
            ),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager  # nothing to download
        size = self.builder_config.size
        tenth = -(-size // 10)
        return {
            split: self._generate_examples(split, count)
            for split, count in (
                ("train", size),
                ("validation", tenth),
                ("test", tenth),
            )
        }

    def _generate_examples(
        self, split: str, count: int
    ) -> Iterator[tuple[int, dict[str, str]]]:
        ways = _ways_to_write(self.builder_config.locales)
        days = _days(split)
        if count > len(days) * len(ways):
            raise ValueError(
                f"dates/{self.builder_config.name}: there are "
                f"{len(days) * len(ways):,} different pairs for {split}. "
                f"Asked for: {count:,}"
            )
        rng = random.Random(split)
        chosen = rng.sample(range(len(days) * len(ways)), count)
        for number, index in enumerate(chosen):
            day, way = divmod(index, len(ways))
            written = _write(days[day], *ways[way])
            yield number, {"written": written, "iso": days[day].isoformat()}


@lru_cache
def _days(split: str) -> list[datetime.date]:
    """Return the days that are in a split, by a hash of them."""
    days = (
        _FIRST + datetime.timedelta(number)
        for number in range((_LAST - _FIRST).days + 1)
    )
    return [day for day in days if _split_of(day) == split]


def _split_of(day: datetime.date) -> str:
    digest = hashlib.sha256(day.isoformat().encode()).digest()
    return {0: "validation", 1: "test"}.get(digest[0] % 10, "train")


@lru_cache
def _ways_to_write(locales: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return locales and formats in which a date is written in full.

    Raises:
        UnknownLocaleError: there is no such locale.
        ValueError: one of them is no name of a locale.
    """
    from babel import Locale

    ways = []
    for name in locales:
        locale = Locale.parse(name)
        formats = [locale.date_formats[style].pattern for style in _STYLES]
        formats += [
            locale.datetime_skeletons[skeleton].pattern
            for skeleton in _SKELETONS
        ]
        ways += [
            (name, pattern)
            for pattern in dict.fromkeys(formats)
            if _is_clear(pattern, alone=len(locales) == 1)
        ]
    return ways


def _is_clear(pattern: str, alone: bool) -> bool:
    """Whether what is written by a pattern can be read in one way only."""
    fields = re.sub("'[^']*'", "", pattern)
    whole_year = re.search("(?<!y)y(?!y)|yyyy", fields)
    in_letters = re.search("MMM|LLL", fields)
    year_first = re.match("[^a-zA-Z]*y", fields)
    return bool(whole_year and (in_letters or year_first or alone))


def _write(day: datetime.date, locale: str, pattern: str) -> str:
    from babel.dates import format_date

    return format_date(day, pattern, locale)
