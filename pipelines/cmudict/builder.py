"""The CMU Pronouncing Dictionary as a TensorFlow dataset."""

import hashlib
import lzma
from collections.abc import Iterator
from importlib import resources
from typing import Any

import tensorflow_datasets as tfds


class Cmudict(tfds.core.GeneratorBasedBuilder):
    """CMUdict in the split the literature uses, read from this package.

    The test words are given; every fortieth word of the others, by a hash of
    the word, is held out for validation. All pronunciations of a word are in
    one split.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The split of PRONASYL 2007."}

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "Pronunciations of English words in North American English: "
                "27 letters, 39 phonemes (ARPAbet), no stress marks. A word "
                "occurs once for each of its pronunciations."
            ),
            features=tfds.features.FeaturesDict(
                {"word": tfds.features.Text(), "phonemes": tfds.features.Text()}
            ),
            supervised_keys=("word", "phonemes"),
            homepage="http://www.speech.cs.cmu.edu/cgi-bin/cmudict",
            license=_package_file("NOTICE.md").decode(),
            citation=(
                "@misc{cmudict,\n"
                "  title = {The {CMU} Pronouncing Dictionary},\n"
                "  author = {{Carnegie Mellon University}},\n"
                "  howpublished = "
                "{http://www.speech.cs.cmu.edu/cgi-bin/cmudict}\n}"
            ),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager  # nothing to download
        return {
            "train": self._generate_examples("train", held_out=False),
            "validation": self._generate_examples("train", held_out=True),
            "test": self._generate_examples("test"),
        }

    def _generate_examples(
        self, file: str, held_out: bool | None = None
    ) -> Iterator[tuple[int, dict[str, str]]]:
        text = lzma.decompress(_package_file(f"{file}.tsv.xz")).decode("ascii")
        for number, line in enumerate(text.splitlines()):
            word, phonemes = line.split("\t")
            if held_out is None or is_held_out(word) == held_out:
                yield number, {"word": word, "phonemes": phonemes}


def is_held_out(word: str) -> bool:
    """Whether a word outside of the test split is for validation."""
    digest = hashlib.sha256(word.encode()).digest()
    return int.from_bytes(digest[:8]) % 40 == 0


def _package_file(name: str) -> bytes:
    package = resources.files("keras_recurrent.pipelines.cmudict")
    return package.joinpath(name).read_bytes()
