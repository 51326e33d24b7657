"""Write the tab-separated example: dates as people write them, and ISO 8601.

    python make_dates.py

Makes dates.train.tsv, dates.validation.tsv and dates.test.tsv beside this
file, always the same. A date is in one of the files only, however written.
"""

import datetime
import random
from pathlib import Path

SIZES = {"train": 2_000, "validation": 200, "test": 200}
FIRST, LAST = datetime.date(1950, 1, 1), datetime.date(2049, 12, 31)
MONTHS = (
    "January February March April May June July August September October "
    "November December"
).split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


def ways_to_write(date: datetime.date) -> list[str]:
    """Return the date in each of the formats, independent of the locale."""
    day, year = date.day, date.year
    month, weekday = MONTHS[date.month - 1], WEEKDAYS[date.weekday()]
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    if day in (11, 12, 13):
        suffix = "th"
    return [
        f"{day} {month} {year}",
        f"{day} {month[:3]} {year}",
        f"{day:02}.{date.month:02}.{year}",
        f"{month} {day}, {year}",
        f"{month[:3]} {day}{suffix} {year}",
        f"the {day}{suffix} of {month} {year}",
        f"{weekday}, {day} {month} {year}",
        f"{weekday[:3]} {month[:3]} {day} {year}",
    ]


def main() -> None:
    random.seed(0)
    days = (LAST - FIRST).days + 1
    numbers = random.sample(range(days), sum(SIZES.values()))
    for split, size in SIZES.items():
        lines = []
        for number in numbers[:size]:
            date = FIRST + datetime.timedelta(days=number)
            written = random.choice(ways_to_write(date))
            lines.append(f"{written}\t{date.isoformat()}\n")
        del numbers[:size]
        path = Path(__file__).with_name(f"dates.{split}.tsv")
        path.write_text("".join(lines), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
