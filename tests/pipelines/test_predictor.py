"""Prediction: whole texts in, whole texts out, in one graph."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import Hypotheses
from keras_recurrent.pipelines.predictor import Predictor, load_predictor
from keras_recurrent.pipelines.recipe import DecodingConfig
from keras_recurrent.pipelines.run import Run, RunError
from keras_recurrent.pipelines.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def predictor(trained):
    return load_predictor(Run.open(trained))


def predict(predictor, texts):
    outputs = predictor(tf.constant(texts, tf.string))
    return {name: tensor.numpy() for name, tensor in outputs.items()}


def test_the_task_was_learned(predictor):
    outputs = predict(predictor, ["abca", "dd", "cab"])
    assert outputs["predictions"].tolist() == [b"A C B A", b"D D", b"B A C"]


def test_case_is_that_of_the_recipe(predictor):
    lower, upper = predict(predictor, ["abca", "ABCA"])["predictions"]
    assert lower == upper


def test_scores_are_the_log_probabilities_under_teacher_forcing(predictor):
    texts = ["abca", "d", "bbbbb"]
    outputs = predict(predictor, texts)
    for text, prediction, score in zip(
        texts, outputs["predictions"], outputs["scores"], strict=True
    ):
        source = predictor.source.encode([text]).to_tensor()
        target = predictor.target.encode([prediction]).numpy()[0].tolist()
        logits = predictor.model(
            {"source": source, "target": tf.constant([[2, *target]])}
        )
        log_probs = tf.nn.log_softmax(logits)[0].numpy()
        labels = [*target, 3]
        expected = sum(log_probs[t, label] for t, label in enumerate(labels))
        assert score == pytest.approx(expected, abs=1e-4)


def test_alignments_are_distributions_over_the_source(predictor):
    alignments = predict(predictor, ["abca", "dd"])["alignments"]
    assert alignments.shape == (2, 8, 4)  # of max_length 8
    assert alignments[0].sum(-1) == pytest.approx([1] * 5 + [0] * 3, abs=1e-5)
    assert alignments[1].sum(-1) == pytest.approx([1] * 3 + [0] * 5, abs=1e-5)
    assert not alignments[1, :, 2:].any()  # nothing is read behind the end


def test_the_company_of_a_text_does_not_matter(predictor):
    alone = predict(predictor, ["cab"])
    among = predict(predictor, ["", "cab", "a" * 50])
    assert among["predictions"][1] == alone["predictions"][0]
    assert among["scores"][1] == pytest.approx(alone["scores"][0], abs=1e-4)
    np.testing.assert_allclose(
        among["alignments"][1, :, :3], alone["alignments"][0], atol=1e-4
    )


def test_the_settings_of_the_recipe_count(predictor):
    decoding = predictor.decoding.model_copy(
        update={
            "length_penalty": "average",
            "coverage_penalty": 0.1,
            "min_length": 3,
            "no_repeat_ngram": 1,
        }
    )
    other = Predictor(
        predictor.model, predictor.source, predictor.target, decoding
    )
    assert predict(predictor, ["dd"])["predictions"] == [b"D D"]
    tokens = predict(other, ["dd"])["predictions"][0].split()
    assert len(tokens) >= 3 and len(set(tokens)) == len(tokens)


@pytest.mark.parametrize(
    ("max_length", "predictions", "truncated"),
    [
        (2, [b"A C", b"D D", b"D", b""], [True, True, False, False]),
        (3, [b"A C B", b"D D", b"D", b""], [True, False, False, False]),
    ],
)
def test_what_has_not_ended_is_truncated(
    predictor, max_length, predictions, truncated
):
    """The end takes a token, too."""
    decoding = predictor.decoding.model_copy(
        update={"max_length": max_length, "beam_width": 1}
    )
    shorter = Predictor(
        predictor.model, predictor.source, predictor.target, decoding
    )
    outputs = predict(shorter, ["abca", "dd", "d", ""])
    assert outputs["predictions"].tolist() == predictions
    assert outputs["truncated"].tolist() == truncated


def test_an_empty_text_has_an_empty_answer(predictor):
    for texts in ([""], ["", "", "abc"]):
        outputs = predict(predictor, texts)
        assert outputs["predictions"][0] == b""
        assert outputs["scores"][0] == 0.0
        assert not outputs["alignments"][0].any()


def test_no_texts_have_no_answers(predictor):
    outputs = predict(predictor, [])
    assert outputs["predictions"].shape == (0,)
    assert outputs["scores"].shape == (0,)
    assert outputs["alignments"].shape[:2] == (0, 8)


def test_strange_texts_are_answered(predictor):
    texts = ["xyz", "a☃b", "ß", "a b", b"\xff\xfe", "abc" * 1000]
    outputs = predict(predictor, texts)
    assert outputs["predictions"].shape == (6,)
    assert np.isfinite(outputs["scores"]).all()
    assert (outputs["scores"] < 0).all()
    assert np.isfinite(outputs["alignments"]).all()


class Told(tf.Module):
    """A model that writes what it is told, and looks where it is told to."""

    def __init__(self, ids, looked_at, width):
        super().__init__()
        self.unknown_copies = None
        self.ids = tf.constant([ids])  # (N, K, L)
        self.alignments = tf.one_hot([looked_at], width)  # (N, K, L, S)

    def generate(self, source, **options):
        count, _, length = self.ids.shape
        log_probs = tf.zeros((count, 1))
        return Hypotheses(
            ids=self.ids,
            lengths=tf.fill((count, 1), length),
            log_probs=log_probs,
            scores=log_probs,
            token_log_probs=tf.zeros((count, 1, length)),
            alignments=self.alignments,
            copied=tf.zeros((count, 1, length)),
        )


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("unknowns", [1, 3])
def test_unknown_tokens_are_replaced_by_those_of_the_source(replace, unknowns):
    source = Vocabulary(["near"], "words")
    target = Vocabulary(["bei"], "words", unknowns=unknowns)
    last = len(target) - 1 if unknowns > 1 else 1
    model = Told([[1, 4, last, 3, 1]], [[2, 1, 0, 0, 0]], 3)
    predictor = Predictor(
        model, source, target, DecodingConfig(replace_unknown=replace)
    )
    found = predict(predictor, ["Ulm near Aalen"])["predictions"].tolist()
    assert found == [b"Aalen bei Ulm" if replace else b"[UNK] bei [UNK]"]


def test_tokens_are_those_that_were_written():
    """Of which the text, split again, would be others: `ab`, not `a`, `b`."""
    pieces = ["\u2581", "a", "b", "ab", "\u2581ab"]
    vocabulary = Vocabulary(pieces, "subwords")
    assert vocabulary.tokenize(["ab"]).to_list() == [["\u2581ab".encode()]]
    written = [4, 5, 6, 1, 3]
    predictor = Predictor(
        Told([written], [[0] * 5], 1), vocabulary, vocabulary, DecodingConfig()
    )
    best = predictor.best(tf.constant(["a"]))
    tokens = [token.decode() for token in best["tokens"].numpy()[0, 0]]
    assert tokens == ["\u2581", "a", "b", "[UNK]", ""]
    assert "tokens" not in predictor(tf.constant(["a"]))


def test_nothing_to_copy():
    vocabulary = Vocabulary(["a"], "words")
    predictor = Predictor(
        Told([[1, 3]], [[0, 0]], 1),
        vocabulary,
        vocabulary,
        DecodingConfig(replace_unknown=True),
    )
    assert predict(predictor, [" "])["predictions"].tolist() == [b""]


def log_probs(predictor, text, prefix):
    """log p(next token | prefix) of one model, under teacher forcing."""
    logits = predictor.model(
        {
            "source": predictor.source.encode([text]).to_tensor(),
            "target": tf.constant([[2, *prefix]]),
        }
    )
    return tf.nn.log_softmax(logits)[0, -1].numpy().astype("float64")


def test_runs_decode_together(trained, barely_trained, caplog):
    runs = [Run.open(folder) for folder in (trained, barely_trained)]
    together = load_predictor(runs[0], others=runs[1:])
    assert together.decoding == runs[0].recipe.decoding
    alone = [load_predictor(run) for run in runs]
    texts = ["abca", "d", "bbbbb"]
    outputs = predict(together, texts)
    for text, prediction, score in zip(
        texts, outputs["predictions"], outputs["scores"], strict=True
    ):
        ids = together.target.encode([prediction]).numpy()[0].tolist()
        expected = 0.0
        for t, token in enumerate([*ids, 3]):
            each = [np.exp(log_probs(one, text, ids[:t])) for one in alone]
            expected += np.log(np.mean(each, axis=0)[token])
        assert score == pytest.approx(expected, abs=1e-4)
    # TensorFlow can write all of its code as a graph.
    assert "AutoGraph" not in caplog.text
    own = predict(alone[0], texts)["scores"]
    assert not np.allclose(outputs["scores"], own, atol=0.01)


def change_tokens(run):
    path = run.target_vocabulary
    path.write_text(path.read_text() + "E\n")
    run.origin.fingerprint_file.unlink()  # which would have told of it


def change_case(run):
    text = run.recipe_file.read_text()
    run.recipe_file.write_text(text.replace("case: lower", "case: upper", 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_tokens, "target vocabulary than .* \\(5 tokens, not the 4 "),
        (change_case, "source vocabulary than .* \\(case: upper, not lower"),
    ],
)
def test_other_vocabularies_cannot_decode_together(
    trained, barely_trained, tmp_path, change, message
):
    shutil.copytree(barely_trained, tmp_path / "other")
    change(Run.open(tmp_path / "other"))
    runs = [Run.open(folder) for folder in (trained, tmp_path / "other")]
    with pytest.raises(RunError, match=message) as error:
        load_predictor(runs[0], others=runs[1:])
    assert str(error.value).startswith(str(tmp_path / "other"))
    assert "\n" not in str(error.value)


def test_a_run_is_no_ensemble_with_itself(trained):
    run = Run.open(trained)
    with pytest.raises(RunError, match="was given twice"):
        load_predictor(run, others=[run])
