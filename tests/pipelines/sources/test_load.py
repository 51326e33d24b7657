"""Pairs from datasets and from tab-separated files.

Tests `dataset.py`, `source.py` and `tab_separated.py`.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_recurrent.pipelines.recipe import DataConfig, RecipeError
from keras_recurrent.pipelines.sources import (
    fingerprint,
    group_references,
    load_pairs,
    read_texts,
    source_of,
)


class TinyTranslation(tfds.core.GeneratorBasedBuilder):
    """A dataset like those of the catalogue, made of a few sentences."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "en": tfds.features.Text(),
                    "pt": tfds.features.Text(),
                    "score": tfds.features.Scalar(tf.int32),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number, (en, pt) in enumerate([("good", "bom"), ("sea", "mar")]):
            yield number, {"en": en, "pt": pt, "score": number}


@pytest.fixture
def load_file(tmp_path):
    def load(content, split="train"):
        path = tmp_path / "data.tsv"
        path.write_bytes(content)
        files = {"train": path, "validation": path, "test": path}
        return load_pairs(DataConfig.model_validate({"files": files}), split)

    return load


def as_tuples(pairs):
    texts = read_texts(pairs)
    return list(zip(texts["source"], texts["target"], strict=True))


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_columns_of_a_file(load_file, split):
    pairs = load_file("a\tb c\né\t x \tignored\n".encode(), split)
    assert as_tuples(pairs) == [("a", "b c"), ("é", " x ")]
    assert pairs.cardinality() == 2
    assert pairs.element_spec == {
        "source": tf.TensorSpec([], tf.string),
        "target": tf.TensorSpec([], tf.string),
    }


@pytest.mark.parametrize(
    "content",
    [
        b"a\tb\r\n\r\nc\td\r\n",  # Windows
        b"\xef\xbb\xbfa\tb\r\nc\td",  # Windows, with a byte order mark
        b"\n \na\tb\n\t\nc\td\n\n",  # blank lines
        b"a\tb\nc\td",  # no line break at the end
    ],
)
def test_ways_to_write_a_file(load_file, content):
    pairs = load_file(content)
    assert as_tuples(pairs) == [("a", "b"), ("c", "d")]
    assert pairs.cardinality() == 2


def test_long_files_are_read_in_their_order(load_file):
    expected = [(f"s{n}", f"t{n}") for n in range(5_000)]
    content = "".join(f"{s}\t{t}\n" for s, t in expected).encode()
    pairs = load_file(content)
    assert as_tuples(pairs) == expected
    assert as_tuples(pairs) == expected  # and again, now from memory


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tb\n\nc d\n", "data.tsv, line 3: expected a source, a tab and"),
        (b"a\tb\nc\t\r\n", "data.tsv, line 2: expected a source, a tab and"),
        (b"\tb\n", "data.tsv, line 1: expected a source, a tab and"),
        (b"a\tb\nc\t\xff\n", "data.tsv, line 2: expected UTF-8"),
        (b"a\tb\rc\td\r", r"data.tsv, line 1: expected lines that end in"),
        (b"", r"^data\.files\.train='.*data.tsv': the file has no pairs"),
        (b"\n\r\n \n", "the file has no pairs"),
    ],
)
def test_malformed_files(load_file, content, message):
    with pytest.raises(RecipeError, match=message) as error:
        load_file(content)
    assert "\n" not in str(error.value)


def test_missing_files(tmp_path):
    files = {name: tmp_path / name for name in ("train", "validation", "test")}
    data = DataConfig.model_validate({"files": files})
    expected = r"^data\.files\.test='.*/test': No such file"
    with pytest.raises(RecipeError, match=expected):
        load_pairs(data, "test")


def tiny(tmp_path, **settings):
    defaults = {
        "dataset": "tiny_translation",
        "directory": tmp_path,
        "source": "pt",
        "target": "en",
    }
    return DataConfig.model_validate(defaults | settings)


def test_features_of_a_dataset(tmp_path):
    pairs = load_pairs(tiny(tmp_path), "train")
    assert sorted(as_tuples(pairs)) == [("bom", "good"), ("mar", "sea")]
    assert pairs.cardinality() == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "fr"}, "data.source='fr': .*text features: en, pt$"),
        ({"source": None}, "data.source=None: .*text features: en, pt$"),
        ({"target": "score"}, "data.target='score': .*text features: en, pt$"),
        ({"dataset": "cmudct"}, "'cmudct': no such dataset. Did you mean cmud"),
        ({"dataset": "a b"}, "data.dataset='a b': "),
        ({"dataset": "tiny_translation/x"}, "data.dataset='tiny_translation/x"),
    ],
)
def test_wrong_names(tmp_path, settings, message):
    with pytest.raises(RecipeError, match=message) as error:
        load_pairs(tiny(tmp_path, **settings), "train")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("use", [load_pairs, fingerprint])
def test_a_dataset_without_the_split(tmp_path, use):
    with pytest.raises(RecipeError, match="no split 'test'. Its splits: train"):
        use(tiny(tmp_path), "test")


def test_the_fingerprint_of_a_dataset_is_its_version_and_size(tmp_path):
    now = fingerprint(tiny(tmp_path), "train")
    assert now.startswith("tiny_translation/1.0.0, 2 examples, ")


def test_the_fingerprint_of_a_file_is_that_of_its_contents(tmp_path):
    files = {split: tmp_path / split for split in ("train", "validation")}
    files["test"] = tmp_path / "missing"
    data = DataConfig.model_validate({"files": files})
    seen = set()
    for contents in (b"a\tb\n", b"b\ta\n", b"a\tb\na\tb\n"):
        for split in ("train", "validation"):
            files[split].write_bytes(contents)
        seen.add(fingerprint(data, "train"))
        assert fingerprint(data, "validation") in seen
    assert len(seen) == 3
    with pytest.raises(RecipeError, match="data.files.test=.*No such file"):
        fingerprint(data, "test")


def test_slices_and_other_names_of_splits(tmp_path):
    data = tiny(
        tmp_path, splits={"validation": "train[:1]", "test": "train[1:]"}
    )
    halves = [as_tuples(load_pairs(data, s)) for s in ("validation", "test")]
    assert sorted(halves[0] + halves[1]) == [("bom", "good"), ("mar", "sea")]
    assert "train[1:], 1 examples" in fingerprint(data, "test")
    assert (
        source_of(data, "test").place(0)
        == "tiny_translation, train[1:] example 1"
    )
    with pytest.raises(RecipeError, match="no split 'train\\[x'"):
        load_pairs(tiny(tmp_path, splits={"train": "train[x"}), "train")


def test_a_prepared_folder_needs_no_code(tmp_path):
    load_pairs(tiny(tmp_path), "train")
    (folder,) = tmp_path.glob("tiny_translation/1.*")
    data = tiny(tmp_path, dataset=None, folder=folder)
    assert sorted(as_tuples(load_pairs(data, "train"))) == [
        ("bom", "good"),
        ("mar", "sea"),
    ]
    data = tiny(tmp_path, dataset=None, folder=tmp_path / "none")
    with pytest.raises(RecipeError, match="^data.folder='.*none': ") as error:
        load_pairs(data, "train")
    assert "\n" not in str(error.value)


def test_an_empty_split(tmp_path):
    load_pairs(tiny(tmp_path), "train")
    (info,) = tmp_path.rglob("dataset_info.json")
    # TFDS itself refuses to write one.
    info.write_text(info.read_text().replace('"2"', '"0"'))
    with pytest.raises(RecipeError, match="the split 'train' is empty"):
        load_pairs(tiny(tmp_path), "train")


def test_a_dataset_that_cannot_be_prepared(tmp_path, monkeypatch):
    def no_network(*arguments, **options):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(TinyTranslation, "_split_generators", no_network)
    with pytest.raises(RecipeError, match="prepared in .*: no route to host"):
        load_pairs(tiny(tmp_path), "train")


def test_a_dataset_that_two_runs_prepare_at_once(tmp_path, monkeypatch):
    both_began = threading.Barrier(2, timeout=60)
    prepared = []
    builder_of, generators = tfds.builder, TinyTranslation._split_generators
    waited = threading.local()

    def builder(*arguments, **options):
        made = builder_of(*arguments, **options)
        if not hasattr(waited, "yes"):
            waited.yes = True
            both_began.wait()
        return made

    def slowly(self, dl_manager):
        prepared.append(self)
        threading.Event().wait(0.2)
        return generators(self, dl_manager)

    monkeypatch.setattr(tfds, "builder", builder)
    monkeypatch.setattr(TinyTranslation, "_split_generators", slowly)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(load_pairs, tiny(tmp_path), "train") for _ in "12"]
    for run in runs:
        assert sorted(as_tuples(run.result())) == [
            ("bom", "good"),
            ("mar", "sea"),
        ]
    assert len(prepared) == 1


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    data = tiny(tmp_path, dataset="cmudict", source="word", target="phonemes")
    data = data.model_copy(update={"directory": tmp_path / "file"})
    with pytest.raises(RecipeError, match="data.dataset='cmudict': cannot be"):
        load_pairs(data, "train")


def test_a_translation_of_the_catalogue_has_its_languages(tmp_path):
    # Wrong features are found before anything is downloaded.
    data = tiny(tmp_path, dataset="ted_hrlr_translate/pt_to_en", source="fr")
    with pytest.raises(RecipeError, match="Its text features: en, pt"):
        load_pairs(data, "train")


def test_where_a_pair_is(load_file, tmp_path):
    content = b"\n".join([b"a\tb", b"", b"c\td", b" ", b"e\tf"])
    load_file(content)
    path = tmp_path / "data.tsv"
    data = DataConfig.model_validate(
        {"files": dict.fromkeys(("train", "validation", "test"), path)}
    )
    places = [source_of(data, "test").place(index) for index in range(3)]
    assert places == [f"{path}, line {number}" for number in (1, 3, 5)]
    place = source_of(DataConfig(dataset="cmudict"), "train").place(0)
    assert place == "cmudict, train example 1"


def test_references_are_grouped_by_source(load_file):
    pairs = load_file(b"a\tx\nb\ty\na\tz\na\tx\n")
    assert group_references(pairs) == {"a": ["x", "z"], "b": ["y"]}
