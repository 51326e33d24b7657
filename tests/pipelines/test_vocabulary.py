from collections import Counter

import keras
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_recurrent.pipelines.vocabulary import Vocabulary
from tests.oracles import tried

# Any text that UTF-8 can hold, without NUL, where ICU ends a string.
texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
)


def as_text(tensor):
    return [text.decode() for text in tensor.numpy().tolist()]


def test_frequent_tokens_come_first_then_the_alphabet():
    vocabulary = Vocabulary.build(["bc", "ab", "b"])
    assert vocabulary.tokens == ("b", "a", "c")
    assert len(vocabulary) == 7
    assert vocabulary.encode(["abz", ""]).to_list() == [[5, 4, 1], []]


def test_order_does_not_depend_on_the_order_of_texts():
    words = ["x y", "z", "y", "é"]
    forward = Vocabulary.build(words, "words")
    assert forward.tokens == ("y", "x", "z", "é")
    assert Vocabulary.build(words[::-1], "words").tokens == forward.tokens


def test_the_most_frequent_tokens_are_kept():
    vocabulary = Vocabulary.build(["aaabbc"], max_size=6)
    assert vocabulary.tokens == ("a", "b")
    assert len(vocabulary) == 6


def test_many_texts_are_counted_like_few():
    lines = [f"w{number % 7} w{number % 11}" for number in range(25_000)]
    counts = Counter(word for line in lines for word in line.split())
    expected = sorted(counts, key=lambda word: (-counts[word], word))
    assert list(Vocabulary.build(lines, "words").tokens) == expected


@settings(max_examples=100, deadline=None)
@given(texts)
def test_characters_come_back(text):
    vocabulary = Vocabulary.build([text, "x"])
    assert len(vocabulary) == 4 + len({*text, "x"})
    ids = vocabulary.encode([text, "x"])
    assert ids.dtype == tf.int32
    assert ids.row_lengths().numpy().tolist() == [len(text), 1]
    assert as_text(vocabulary.decode(ids.to_tensor())) == [text, "x"]


@settings(max_examples=100, deadline=None)
@given(st.lists(texts, max_size=3))
def test_words_come_back(words):
    line = "\t ".join(words).encode()
    vocabulary = Vocabulary.build([line, "x"], "words")
    ids = vocabulary.encode([line])
    expected = b" ".join(line.split())  # bytes split at ASCII space only
    assert vocabulary.decode(ids.to_tensor()).numpy().tolist() == [expected]


@settings(max_examples=100, deadline=None)
@given(texts)
def test_saving_keeps_every_token(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("vocabulary") / "tokens.txt"
    vocabulary = Vocabulary.build([text + "\n\r\\ \t\u2028\x85\ufeff"])
    vocabulary.save(path)
    assert path.read_bytes().count(b"\n") == len(vocabulary.tokens)
    loaded = Vocabulary.load(path)
    assert loaded.tokens == vocabulary.tokens


def test_an_ordinary_file_has_a_token_a_line(tmp_path):
    path = tmp_path / "tokens.txt"
    Vocabulary(["a b", " ", "é"]).save(path)
    assert path.read_bytes() == "a b\n \né\n".encode()


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "tokens.txt"
    path.write_text("a\n\nb\n")
    with pytest.raises(ValueError, match="1 of them empty"):
        Vocabulary.load(path)


@pytest.mark.parametrize(
    ("case", "expected"),
    [("upper", "STRASSE"), ("lower", "straße"), ("keep", "Straße")],
)
def test_case_follows_unicode(case, expected):
    vocabulary = Vocabulary.build(["Straße"], case=case)
    ids = vocabulary.encode(["Straße"]).to_tensor()
    assert as_text(vocabulary.decode(ids)) == [expected]


@pytest.mark.parametrize("split", ["characters", "words"])
@pytest.mark.parametrize("case", ["keep", "upper", "lower"])
def test_bytes_that_are_not_text_are_unknown(split, case):
    vocabulary = Vocabulary.build(["a b"], split, case)
    ids = vocabulary.encode([b"\xff", b"\xf0\x9f", b"\x00", b"", "😀"])
    assert ids[0].numpy().tolist() == [1]
    assert ids[1].numpy().tolist() == [1]
    assert ids[3].numpy().tolist() == []
    assert ids[4].numpy().tolist() == [1]
    with_rest = Vocabulary.build([b"\xff\n"], split, case)
    assert "\ufffd" in with_rest.tokens


def test_texts_cannot_forge_special_ids():
    line = "[END] [START] [UNK] x"
    vocabulary = Vocabulary.build([line], "words")
    ids = vocabulary.encode([line])
    assert min(ids.to_list()[0]) >= 4
    assert as_text(vocabulary.decode(ids.to_tensor())) == [line]
    others = Vocabulary(["x"], "words")
    assert others.encode([line]).to_list() == [[1, 1, 1, 4]]


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("characters", ["ab", "[UNK]a", "", "ab"]),
        ("words", ["a b", "[UNK] a", "", "a b"]),
    ],
)
def test_decoding_stops_at_the_end(split, expected):
    vocabulary = Vocabulary(["a", "b"], split)
    ids = [
        [4, 5, 3, 4, 3],  # after the end nothing counts
        [2, 1, 4, 0, 3],  # start and padding are no tokens
        [3, 4, 4, 4, 4],
        [0, 4, 0, 5, 0],
    ]
    assert as_text(vocabulary.decode(ids)) == expected
    beams = vocabulary.decode([ids, ids])  # (2, 4, 5)
    assert beams.shape == (2, 4)
    assert as_text(beams[1]) == expected


def test_decoded_tokens_keep_their_places():
    vocabulary = Vocabulary(["a", " "])
    tokens = vocabulary.decode_tokens([[2, 4, 5, 3, 4], [99, -1, 1, 0, 4]])
    assert tokens.numpy().tolist() == [
        [b"", b"a", b" ", b"", b""],
        [b"[UNK]", b"[UNK]", b"[UNK]", b"", b"a"],
    ]


def test_nothing_in_nothing_out():
    vocabulary = Vocabulary(["a"], "words")
    assert vocabulary.encode([]).to_list() == []
    assert as_text(vocabulary.decode(tf.zeros([2, 0], tf.int32))) == ["", ""]


SENTENCES = ["the singer sings,", "a singing ring", "(sing the thing)"]
TEXT = st.text(alphabet="thesing ar,()\t\u2581ü")


@pytest.mark.parametrize("split", ["punctuation", "subwords"])
@tried(few=10, many=60)
@given(texts=st.lists(TEXT, max_size=6))
def test_there_and_back(split, texts):
    """But for white space, and for what is unknown."""
    letters = " ".join("thesingar,()_")
    vocabulary = Vocabulary.build([*SENTENCES, letters], split)
    ids = vocabulary.encode(texts)
    tokens = vocabulary.tokenize(texts)
    assert ids.row_lengths().numpy().tolist() == (
        tokens.row_lengths().numpy().tolist()
    )
    known = {token: 4 + i for i, token in enumerate(vocabulary.tokens)}
    for row, names in zip(ids.to_list(), tokens.to_list(), strict=True):
        assert row == [known.get(name.decode(), 1) for name in names]
    for text, decoded in zip(
        texts, as_text(vocabulary.decode(ids.to_tensor())), strict=True
    ):
        if split == "subwords":
            text = text.replace("ü", "[UNK]").replace("\u2581", "_")
            text = text.replace("[UNK][UNK]", "[UNK]")
        elif "[UNK]" in decoded:
            continue
        while "[UNK][UNK]" in text:
            text = text.replace("[UNK][UNK]", "[UNK]")
        assert decoded == " ".join(text.split())


def test_hangul_letter_by_letter():
    vocabulary = Vocabulary.build(["한국 말"], normalize=["jamo"])
    ids = vocabulary.encode(["말한", "ㅎ"])
    assert ids.row_lengths().numpy().tolist() == [6, 1]
    assert as_text(vocabulary.decode(ids.to_tensor())) == ["말한", "[UNK]"]


def test_normalized_before_splitting():
    vocabulary = Vocabulary.build(
        ["caf\u00e9 \u00e9t\u00e9"], "words", normalize=["nfc", "spaces"]
    )
    texts = ["e\u0301te\u0301\u00a0cafe\u0301"]
    assert as_text(vocabulary.decode(vocabulary.encode(texts).to_tensor())) == [
        "été café"
    ]


def test_tokens_that_are_too_rare():
    vocabulary = Vocabulary.build(["a b", "b c", "c b"], "words", min_count=2)
    assert vocabulary.tokens == ("b", "c")


def test_subwords_keep_their_order_in_the_file(tmp_path):
    vocabulary = Vocabulary.build(SENTENCES, "subwords", max_size=30)
    assert len(vocabulary) == 30
    vocabulary.save(tmp_path / "subwords.txt")
    loaded = Vocabulary.load(tmp_path / "subwords.txt", "subwords")
    assert loaded.tokens == vocabulary.tokens
    assert (
        loaded.encode(SENTENCES).to_list()
        == vocabulary.encode(SENTENCES).to_list()
    )


@pytest.mark.parametrize("split", ["characters", "words"])
def test_in_a_dataset_and_in_a_graph(split):
    vocabulary = Vocabulary.build(["a b c"], split, "upper")
    lines = ["a b", "", "c z"]
    expected = vocabulary.encode(lines).to_list()
    dataset = tf.data.Dataset.from_tensor_slices(lines).batch(3)
    (ids,) = dataset.map(vocabulary.encode)
    assert ids.to_list() == expected

    @tf.function
    def there_and_back(texts):
        return vocabulary.decode(vocabulary.encode(texts).to_tensor())

    assert as_text(there_and_back(tf.constant(lines)))[0] == "A B"


@pytest.mark.parametrize("split", ["characters", "subwords"])
def test_export_needs_no_vocabulary_file(tmp_path, split):
    vocabulary = Vocabulary.build(["a d", "d d"], split)
    archive = keras.export.ExportArchive()
    archive.track(vocabulary)
    archive.add_endpoint(
        "serve",
        lambda text: vocabulary.decode(vocabulary.encode(text).to_tensor()),
        input_signature=[tf.TensorSpec([None], tf.string, name="text")],
    )
    archive.write_out(str(tmp_path / "export"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "export"))
    lines = tf.constant(["a d", "", "z", b"\xff"])
    assert as_text(loaded.serve(lines)) == ["a d", "", "[UNK]", "[UNK]"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "Received: 0 tokens"),
        ((["a", ""],), "1 of them empty"),
        ((["a", "b", "a"],), r"repeated: \['a'\]"),
        ((["a"], "letters"), "`split` must be one of characters, words"),
        ((["a"], "words", "title"), "`case` must be one of keep, upper, lower"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(*arguments)


def test_texts_without_tokens():
    with pytest.raises(ValueError, match="Received: 0 tokens"):
        Vocabulary.build(["", "  "], "words")


def test_several_unknown_ids():
    vocabulary = Vocabulary(["a", "b"], "words", unknowns=3)
    assert len(vocabulary) == 4 + 2 + 2
    words = [f"w{number}" for number in range(60)]
    (ids,) = vocabulary.encode([" ".join([*words, "a", "b"])]).to_list()
    assert ids[-2:] == [4, 5]
    assert set(ids[:-2]) == {1, 6, 7}
    # The same token has the same id, and what is unknown is known to be.
    assert vocabulary.encode([words[7]]).to_list() == [[ids[7]]]
    unknown = vocabulary.is_unknown(ids).numpy().tolist()
    assert unknown == [True] * 60 + [False] * 2
    decoded = as_text(vocabulary.decode([[6, 4, 7, 1]]))
    assert decoded == ["[UNK] a [UNK] [UNK]"]


@pytest.mark.parametrize("split, unknowns", [("words", 0), ("subwords", 2)])
def test_no_such_number_of_unknown_ids(split, unknowns):
    with pytest.raises(ValueError, match="`unknowns` must be at least 1"):
        Vocabulary(["a"], split, unknowns=unknowns)
