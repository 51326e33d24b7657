"""Pairs from files of every kind, whole and damaged.

Tests `checked.py`, `file_source.py`, `json_lines.py`, `parallel.py` and
`records.py`.
"""

import gzip
import json

import pytest
import tensorflow as tf

from keras_recurrent.pipelines.recipe import DataConfig, RecipeError
from keras_recurrent.pipelines.sources import (
    fingerprint,
    load_pairs,
    read_texts,
    source_of,
)

PAIRS = [("a", "x y"), ("é b", "\U0001f600"), ("c", " z ")]


def as_lines(column):
    return "".join(f"{pair[column]}\n" for pair in PAIRS).encode()


def as_json():
    return "".join(
        json.dumps({"id": n, "en": source, "de": target}) + "\n\n"
        for n, (source, target) in enumerate(PAIRS)
    ).encode()


def write_records(path, pairs, compression=None):
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for pair in pairs:
            feature = {
                name: tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[text.encode()])
                )
                for name, text in zip(("en", "de"), pair, strict=True)
                if text is not None
            }
            features = tf.train.Features(feature=feature)
            example = tf.train.Example(features=features)
            writer.write(example.SerializeToString())


def config(files, **settings):
    splits = dict.fromkeys(("train", "validation", "test"), files)
    return DataConfig.model_validate(
        {"files": splits, "source": "en", "target": "de"} | settings
    )


def as_tuples(pairs):
    texts = read_texts(pairs)
    return list(zip(texts["source"], texts["target"], strict=True))


@pytest.fixture(params=["plain", "gzipped"])
def put(request, tmp_path):
    """Write a file, gzipped or not; return its path."""

    def write(name, content):
        path = tmp_path / name
        if request.param == "gzipped":
            path = path.with_name(f"{name}.gz")
            content = gzip.compress(content)
        path.write_bytes(content)
        return path

    return write


def check(data, place):
    pairs = load_pairs(data, "train")
    assert pairs.cardinality() == len(PAIRS)
    assert as_tuples(pairs) == PAIRS
    assert source_of(data, "train").place(1) == place
    assert fingerprint(data, "train") == fingerprint(data, "test")


def test_tab_separated(put):
    lines = b"\n".join("\t".join(pair).encode() for pair in PAIRS)
    path = put("data.tsv", b"\xef\xbb\xbf" + lines)
    check(config(path), f"{path}, line 2")


def test_parallel(put):
    source = put("train.en", b"\xef\xbb\xbf" + as_lines(0))
    target = put("train.de", as_lines(1))
    files = {"source": source, "target": target}
    check(config(files), f"{source}, line 2 and {target}, line 2")


def test_json_lines(put):
    path = put("data.jsonl", as_json())
    check(config(path), f"{path}, line 3")


@pytest.mark.parametrize("compression", [None, "GZIP"])
def test_records(tmp_path, compression):
    name = "data.tfrecord.gz" if compression else "data.tfrecord-0-of-1"
    write_records(tmp_path / name, PAIRS, compression)
    check(config(tmp_path / name), f"{tmp_path / name}, record 2")


def test_patterns_and_lists(tmp_path):
    for name, (source, target) in zip("bac", PAIRS, strict=True):
        (tmp_path / f"{name}.tsv").write_text(f"{source}\t{target}\n")
    data = config(tmp_path / "*.tsv")
    order = [PAIRS[1], PAIRS[0], PAIRS[2]]  # by name
    assert as_tuples(load_pairs(data, "train")) == order
    assert source_of(data, "train").place(1) == f"{tmp_path / 'b.tsv'}, line 1"
    data = config([tmp_path / "c.tsv", tmp_path / "[ab].tsv"])
    assert as_tuples(load_pairs(data, "train")) == [PAIRS[2], *order[:2]]
    with pytest.raises(RecipeError, match="none.*': no file is like that"):
        load_pairs(config(tmp_path / "none*"), "train")
    (tmp_path / "d.jsonl").write_text("{}")
    with pytest.raises(RecipeError, match="one kind. Received: JSON lines, "):
        load_pairs(config(tmp_path / "*"), "train")


def test_a_test_set_with_a_name(tmp_path):
    (tmp_path / "a").write_text("a\tb\n")
    (tmp_path / "c").write_text("c\td\n")
    data = config(tmp_path / "a", tests={"other": tmp_path / "c"})
    assert as_tuples(load_pairs(data, "test")) == [("a", "b")]
    assert as_tuples(load_pairs(data, "other")) == [("c", "d")]


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (b"a\nb\n", b"x\n", "as many lines. Received: 2 and 1"),
        (b"a\n", b"x\ny\n\n", "as many lines. Received: 1 and 3"),
        (b"a\n\n", b"x\ny\n", "s, line 2 and .*t, line 2: expected text on"),
        (b"a\nb\n", b"x\n \n", "expected text on both sides. Received: 'b | '"),
        (b"a\nb\n", b"x\n\xff\n", "t, line 2: expected UTF-8"),
        (b"", b"", "the file has no pairs"),
    ],
)
def test_sides_that_do_not_fit(tmp_path, source, target, message):
    (tmp_path / "s").write_bytes(source)
    (tmp_path / "t").write_bytes(target)
    files = {"source": tmp_path / "s", "target": tmp_path / "t"}
    with pytest.raises(RecipeError, match=message.replace("|", r"\|")) as error:
        load_pairs(config(files), "train")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "line",
    [b'{"en": "a"}', b'{"en": "a", "de": 1}', b'{"en": "a", "de": " "}',
     b"[1]", b"{", b'{"en": "\xff", "de": "a"}'],
)  # fmt: skip
def test_objects_that_are_no_pair(tmp_path, line):
    path = tmp_path / "data.jsonl"
    path.write_bytes(as_json() + line)
    message = "line 7: expected an object with texts 'en' and 'de'. Received"
    with pytest.raises(RecipeError, match=message):
        load_pairs(config(path), "train")


def test_a_gzipped_file_that_breaks_off(tmp_path):
    path = tmp_path / "data.tsv.gz"
    whole = gzip.compress(b"".join(b"%d\tb\n" % n for n in range(9999)))
    path.write_bytes(whole[:-20])
    with pytest.raises(RecipeError, match="data.tsv.gz': damaged, .* line 9,"):
        load_pairs(config(path), "train")
    path.write_bytes(b"a\tb\n")
    with pytest.raises(RecipeError, match="breaks off after line 0$"):
        load_pairs(config(path), "train")


def test_records_that_break_off(tmp_path):
    path = tmp_path / "data.tfrecord"
    write_records(path, PAIRS)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(RecipeError, match="data.tfrecord': damaged after"):
        load_pairs(config(path), "train")
    write_records(path, [*PAIRS, ("a", None)])
    message = "record 4: expected an example with texts 'en' and 'de'"
    with pytest.raises(RecipeError, match=message):
        load_pairs(config(path), "train")
    with pytest.raises(RecipeError, match="No such file"):
        load_pairs(config(tmp_path / "none.tfrecord"), "train")


BAD = [b"no tab", b"\tno source", b"\xff\tx", b"", b"no target\t "]
REPORT = (
    "4 of 8 lines are skipped: 3 where a source, a tab and a target was "
    "expected (first: {path}, line 2); 1 where UTF-8 was expected (first: "
    "{path}, line 6)"
)


def test_what_is_skipped_is_told(put, capsys):
    good = ["\t".join(pair).encode() for pair in PAIRS]
    lines = [good[0], BAD[0], BAD[1], good[1], BAD[3], BAD[2], BAD[4], good[2]]
    path = put("data.tsv", b"\n".join(lines))
    data = config(path, malformed="skip")
    assert as_tuples(load_pairs(data, "train")) == PAIRS
    assert REPORT.format(path=path) in capsys.readouterr().err
    assert source_of(data, "train").place(1) == f"{path}, line 4"
    path = put("data.tsv", b"\n".join(BAD))
    with pytest.raises(RecipeError, match="the file has no pairs"):
        load_pairs(config(path, malformed="skip"), "train")


def test_other_kinds_skip_too(tmp_path, capsys):
    path = tmp_path / "data.jsonl"
    path.write_bytes(b"{\n" + as_json())
    data = config(path, malformed="skip")
    assert as_tuples(load_pairs(data, "train")) == PAIRS

    source, target = tmp_path / "s", tmp_path / "t"
    source.write_bytes(b"\n" + as_lines(0) + b"a\n")
    target.write_bytes(b"x\n" + as_lines(1) + b"\xff\n")
    files = {"source": source, "target": target}
    data = config(files, malformed="skip")
    assert as_tuples(load_pairs(data, "train")) == PAIRS

    path = tmp_path / "data.tfrecord"
    write_records(path, [("a", None), *PAIRS])
    data = config(path, malformed="skip")
    assert as_tuples(load_pairs(data, "train")) == PAIRS
    told = capsys.readouterr().err.splitlines()
    counts = ["1 of 7 lines", "2 of 5 lines", "1 of 4 lines"]
    assert len(told) == 3
    assert all(c in line for c, line in zip(counts, told, strict=True))
