"""Dates as people write them, as a dataset.

Tests `dates/builder.py`.
"""

import datetime

import pytest

from keras_recurrent.pipelines.dates.builder import (
    LOCALES,
    Dates,
    _split_of,
    _ways_to_write,
    _write,
)
from keras_recurrent.pipelines.recipe import DataConfig, RecipeError
from keras_recurrent.pipelines.sources import load_pairs, read_texts

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("datasets")


def load(folder, name):
    data = DataConfig(dataset=name, directory=folder)
    return {split: read_texts(load_pairs(data, split)) for split in SPLITS}


def test_sizes_and_splits(folder):
    splits = load(folder, "dates/en-300")
    pairs = {
        split: set(zip(texts["source"], texts["target"], strict=True))
        for split, texts in splits.items()
    }
    assert [len(pairs[split]) for split in SPLITS] == [300, 30, 30]
    days = [{iso for _, iso in pairs[split]} for split in SPLITS]
    assert len(set.union(*days)) == sum(map(len, days))


def test_english_is_what_python_writes(folder):
    formats = ["%A, %B %d, %Y", "%B %d, %Y", "%b %d, %Y", "%a, %b %d, %Y"]
    written = load(folder, "dates/en-300")["train"]
    for text, iso in zip(written["source"], written["target"], strict=True):
        day = datetime.date.fromisoformat(iso)
        known = [day.strftime(f).replace(" 0", " ") for f in formats]
        assert text in known


def test_german(folder):
    texts = load(folder, "dates/de-200")["train"]["source"]
    assert any(". März " in text for text in texts)
    # With one locale a number can be a month.
    assert any(text.replace(".", "").isdigit() for text in texts)


def test_the_world_writes_no_two_days_alike():
    ways = _ways_to_write(tuple(LOCALES))
    assert len({locale for locale, _ in ways}) == len(LOCALES)
    read = {}
    first = datetime.date(2001, 1, 1)
    for day in (first + datetime.timedelta(n) for n in range(0, 365, 3)):
        for other in (day, day.replace(day=min(day.day, 12))):
            for way in ways:
                assert read.setdefault(_write(other, *way), other) == other


def test_every_split_has_its_share_of_days():
    days = [
        datetime.date(2000, 1, 1) + datetime.timedelta(n) for n in range(3650)
    ]
    counts = [sum(_split_of(day) == split for day in days) for split in SPLITS]
    assert sum(counts) == 3650
    assert counts[1] == pytest.approx(365, abs=60)
    assert counts[2] == pytest.approx(365, abs=60)


def test_the_card(tmp_path):
    info = Dates(config="fr-50", data_dir=tmp_path).info
    assert "Locales: fr. Size: 50 pairs" in info.description
    assert "Babel" in info.description
    assert "Unicode License" in info.redistribution_info.license
    assert "Unicode Consortium" in info.citation


@pytest.mark.parametrize("name", ["dates/xx-9", "dates/en-0", "dates/e_.n"])
def test_unknown_names(folder, name):
    with pytest.raises(RecipeError, match="BuilderConfig .* not found"):
        load(folder, name)


def test_more_than_there_are(folder):
    with pytest.raises(RecipeError, match="different pairs for train. Asked f"):
        load(folder, "dates/en-1000000")
