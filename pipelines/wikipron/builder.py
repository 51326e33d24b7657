"""Pronunciations from a folder of files as a TensorFlow dataset."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

# Of SIGMORPHON 2020; files of other languages are known by their names.
_LANGUAGES = (
    "ady arm bul dut fre geo gre hin hun ice jpn_hira kor lit rum vie"
).split()
_DEV = {"train": "train", "validation": "dev", "test": "test"}


class Wikipron(tfds.core.GeneratorBasedBuilder):
    """Words and their pronunciations, a configuration a language.

    The files are those of WikiPron, `kor_hang_narrow.tsv` for
    `wikipron/kor_hang_narrow`, or those of SIGMORPHON's shared tasks that are
    made of it, `kor_train.tsv`, `kor_dev.tsv` and `kor_test.tsv` for
    `wikipron/kor`: a word, a tab and its phones, with spaces between them. A
    file that is not split yet is split by a hash of the word, 80 to 10 to 10.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name=name) for name in _LANGUAGES
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The folder has NAME.tsv of https://github.com/CUNY-CL/wikipron, or "
        "NAME_train.tsv, NAME_dev.tsv and NAME_test.tsv of a shared task of "
        "SIGMORPHON, such as https://github.com/sigmorphon/2020."
    )

    def get_builder_config(
        self, name: str, version: Any = None
    ) -> tfds.core.BuilderConfig | None:
        """Return the configuration of a language, whatever it is."""
        known = super().get_builder_config(name, version)
        if known or not re.fullmatch(r"[a-z]{2,3}(_[a-z0-9]+)*", name):
            return known
        return tfds.core.BuilderConfig(name=name, version=version)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "Words and their pronunciations (phones of the International "
                "Phonetic Alphabet, with spaces between them) from Wiktionary. "
                "Size: of SIGMORPHON 2020 task 1, 3,600 words for training, "
                "450 for validation and 450 for test in each of 15 languages; "
                "of WikiPron, what its file has. How made: mined from "
                "Wiktionary by WikiPron. Files without splits are split by a "
                "hash of the word, so that all pronunciations of a word are "
                "in one split."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "word": tfds.features.Text(),
                    "pronunciation": tfds.features.Text(),
                }
            ),
            supervised_keys=("word", "pronunciation"),
            homepage="https://github.com/CUNY-CL/wikipron",
            license=(
                "Text of Wiktionary: CC BY-SA, "
                "https://en.wiktionary.org/wiki/Wiktionary:Copyrights"
            ),
            citation=(
                "@inproceedings{lee-etal-2020-massively,\n"
                "  title = {Massively Multilingual Pronunciation Modeling "
                "with {WikiPron}},\n"
                "  author = {Lee, Jackson L. and Ashby, Lucas F.E. and Garza, "
                "M. Elizabeth and Lee-Sikka, Yeonju and Miller, Sean and Wong, "
                "Alan and McCarthy, Arya D. and Gorman, Kyle},\n"
                "  booktitle = {Proceedings of LREC},\n"
                "  pages = {4223--4228},\n"
                "  year = {2020}\n}"
            ),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        folder = Path(dl_manager.manual_dir)
        name = self.builder_config.name
        files = {
            split: folder / f"{name}_{theirs}.tsv"
            for split, theirs in _DEV.items()
        }
        whole = folder / f"{name}.tsv"
        missing = [path.name for path in files.values() if not path.is_file()]
        if missing and whole.is_file():
            return {
                split: self._generate_examples(whole, split) for split in files
            }
        if missing:
            raise FileNotFoundError(
                f"{folder}: has neither {whole.name} nor {', '.join(missing)}"
            )
        return {
            split: self._generate_examples(path)
            for split, path in files.items()
        }

    def _generate_examples(
        self, path: Path, only: str | None = None
    ) -> Iterator[tuple[int, dict[str, str]]]:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
        for number, line in enumerate(lines):
            if not line.strip():
                continue
            columns = line.rstrip("\r").split("\t")
            if len(columns) != 2 or not all(map(str.strip, columns)):
                raise ValueError(
                    f"{path}, line {number + 1}: expected a word, a tab and "
                    f"its pronunciation. Received: {line[:60]!r}"
                )
            word, pronunciation = columns
            if only in (None, split_of(word)):
                yield number, {"word": word, "pronunciation": pronunciation}


def split_of(word: str) -> str:
    """Return the split that a word is in, if its file has none."""
    digest = hashlib.sha256(word.encode()).digest()
    return {0: "validation", 1: "test"}.get(digest[0] % 10, "train")
