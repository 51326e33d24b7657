"""The data set that ships with the project.

Tests `cmudict/builder.py`.
"""

import lzma
import socket
from importlib import resources

import pytest
import tensorflow_datasets as tfds

from keras_recurrent.pipelines.cmudict.builder import Cmudict, is_held_out
from keras_recurrent.pipelines.recipe import DataConfig
from keras_recurrent.pipelines.sources import load_pairs, read_texts


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    """Prepare the dataset without a network; return its pairs by split."""
    data = DataConfig(
        dataset="cmudict", directory=tmp_path_factory.mktemp("datasets")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", _no_network)
        return {
            split: read_texts(load_pairs(data, split))
            for split in ("train", "validation", "test")
        }


def _no_network(*arguments):
    raise OSError("the test must not use the network")


def shipped(name):
    package = resources.files("keras_recurrent.pipelines.cmudict")
    text = lzma.decompress(package.joinpath(f"{name}.tsv.xz").read_bytes())
    return [tuple(line.split("\t")) for line in text.decode().splitlines()]


def pairs(texts):
    return list(zip(texts["source"], texts["target"], strict=True))


def test_split_sizes(splits):
    assert len(splits["test"]["source"]) == 12_753
    assert len(set(splits["test"]["source"])) == 12_000
    held_out = splits["validation"]["source"]
    rest = splits["train"]["source"]
    assert len(rest) + len(held_out) == 113_438
    assert len({*rest, *held_out}) == 106_837
    assert abs(len(set(held_out)) - 2_670) < 60


def test_every_shipped_pair_is_in_one_split(splits):
    learned = pairs(splits["train"]) + pairs(splits["validation"])
    assert sorted(learned) == sorted(shipped("train"))
    assert sorted(pairs(splits["test"])) == sorted(shipped("test"))


def test_no_word_is_in_two_splits(splits):
    train, validation, test = (
        set(splits[name]["source"]) for name in ("train", "validation", "test")
    )
    assert not train & validation
    assert not train & test
    assert not validation & test


def test_letters_and_phonemes(splits):
    train = splits["train"]
    assert len(set("".join(train["source"]))) == 27
    assert len({p for line in train["target"] for p in line.split()}) == 39


def test_the_hold_out_depends_on_the_word_alone():
    # Computed once; every machine and version must give the same.
    words = [word for word, _ in shipped("train") if is_held_out(word)]
    assert words[:3] == ["ABDICATE", "ABDICATES", "ABDICATION"]


def test_the_dataset_says_what_it_is(tmp_path):
    info = tfds.builder("cmudict", data_dir=tmp_path).info
    assert isinstance(info._builder, Cmudict)
    assert "Carnegie Mellon University" in info.redistribution_info.license
    assert "Pronouncing Dictionary" in info.citation
    assert info.supervised_keys == ("word", "phonemes")


def test_preparing_prints_nothing(tmp_path, capfd):
    data = DataConfig(dataset="cmudict", directory=tmp_path)
    load_pairs(data, "test")
    assert capfd.readouterr() == ("", "")
