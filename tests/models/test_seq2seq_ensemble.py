"""An ensemble decodes by the mean of the probabilities of its models."""

import itertools

import keras
import numpy as np
import pytest

from keras_recurrent.models import Decoder, Encoder, Ensemble, Seq2Seq
from tests.oracles import assert_close

V, START, END, L = 7, 2, 3, 3
TOKENS = (1, 2, 4, 5, 6)  # neither padding nor the end
SOURCE = np.array([[4, 5, 6, 4], [6, 5, 0, 0]], "int32")
TARGET = np.array([[4, 6, END], [5, END, 0]], "int32")


@pytest.fixture(scope="module")
def models():
    """Of different cells, sizes and attentions, with sharp probabilities."""
    keras.utils.set_random_seed(3)
    built = [
        Seq2Seq(
            Encoder(V, 5, 6, cell="simple_rnn"),
            Decoder(V, 5, 6, cell="simple_rnn"),
        ),
        Seq2Seq(
            Encoder(V, 4, 8, cell="lstm", bidirectional=False),
            Decoder(V, 4, 8, cell="lstm", attention="luong", num_layers=2),
        ),
        Seq2Seq(
            Encoder(V, 3, 4), Decoder(V, 3, 4, attention="location_sensitive")
        ),
    ]
    draw = np.random.default_rng(1)
    for model in built:
        model.build()
        for weight in model.trainable_variables:
            weight.assign(draw.normal(size=weight.shape))
    return built


@pytest.fixture(scope="module")
def log_probs(models):
    """log of the mean over models of p(next token | prefix), by NumPy.

    By prefix (B, V), each model alone, by teacher forcing.
    """
    prefixes = list(itertools.product(TOKENS, repeat=L - 1))
    target = [[START, *prefix] for prefix in prefixes] * len(SOURCE)
    source = np.repeat(SOURCE, len(prefixes), axis=0)
    probs = []
    for model in models:
        inputs = {"source": source, "target": np.array(target, "int32")}
        shares = np.exp(model(inputs).numpy().astype("float64"))
        probs.append(shares / shares.sum(-1, keepdims=True))
    means = np.log(np.mean(probs, axis=0))  # (B·P, L, V)
    means = means.reshape(len(SOURCE), len(prefixes), L, V)
    return {
        prefix[:t]: means[:, number, t]
        for number, prefix in enumerate(prefixes)
        for t in range(L)
    }


def test_the_score_is_the_sum_of_the_logarithms_of_the_means(models, log_probs):
    found = Ensemble(models).score(SOURCE, TARGET)
    for row, target in enumerate(TARGET.tolist()):
        written = [token for token in target if token]
        expected = [
            log_probs[tuple(written[:t])][row, token]
            for t, token in enumerate(written)
        ]
        scores = found.token_log_probs[row, 0, : len(written)]
        np.testing.assert_allclose(scores, expected, atol=1e-5)
        np.testing.assert_allclose(
            found.log_probs[row, 0], sum(expected), atol=1e-5
        )
    # It is that of no model alone.
    for model in models:
        alone = model.score(SOURCE, TARGET)
        assert not np.allclose(alone.log_probs, found.log_probs, atol=0.01)


def test_a_beam_that_is_wide_enough_finds_the_most_probable_output(
    models, log_probs
):
    outputs = list(itertools.product(TOKENS, repeat=L))
    for length in range(L):
        begun = itertools.product(TOKENS, repeat=length)
        outputs += [(*prefix, END) for prefix in begun]
    found = Ensemble(models).generate(
        SOURCE, beam_width=len(outputs), max_length=L, n_best=1
    )
    for row in range(len(SOURCE)):
        scores = {
            output: sum(
                log_probs[output[:t]][row, token]
                for t, token in enumerate(output)
            )
            for output in outputs
        }
        best = max(scores, key=scores.__getitem__)
        ids = found.ids[row, 0].numpy()
        assert tuple(ids[ids != 0]) == best
        np.testing.assert_allclose(
            found.log_probs[row, 0], scores[best], atol=1e-5
        )


def test_alignments_are_averaged(models):
    found = Ensemble(models).score(SOURCE, TARGET).alignments
    alone = [model.score(SOURCE, TARGET).alignments for model in models]
    assert_close(found, np.mean(alone, axis=0), atol=1e-6)


def test_one_model_is_that_model(models):
    whole = Ensemble(models[:1])
    for found, expected in (
        (whole.generate(SOURCE), models[0].generate(SOURCE)),
        (whole.score(SOURCE, TARGET), models[0].score(SOURCE, TARGET)),
        (whole.sample(SOURCE, seed=1), models[0].sample(SOURCE, seed=1)),
    ):
        assert_close(found, expected, atol=1e-5)


def test_samples_are_drawn_from_the_mean(models, log_probs):
    found = Ensemble(models).sample(
        SOURCE, seed=5, num_samples=4000, max_length=1
    )
    first = found.ids[:, :, 0].numpy()
    for row in range(len(SOURCE)):
        counts = np.bincount(first[row], minlength=V) / 4000
        expected = np.exp(log_probs[()][row])
        expected[0] = 0  # Padding is never drawn.
        expected /= expected.sum()
        np.testing.assert_allclose(counts, expected, atol=0.03)


@pytest.mark.thorough
def test_xla(models):
    whole = Ensemble(models)
    options = {"beam_width": 3, "max_length": 4}
    compiled = whole.generate(SOURCE, jit_compile=True, **options)
    assert_close(compiled, whole.generate(SOURCE, **options))


def test_it_is_saved_and_loaded(models, tmp_path):
    whole = Ensemble(models)
    expected = whole.score(SOURCE, TARGET)
    whole.save(tmp_path / "ensemble.keras")
    loaded = keras.saving.load_model(tmp_path / "ensemble.keras")
    assert_close(loaded.score(SOURCE, TARGET), expected)


def make(source=V, target=V, **options):
    return Seq2Seq(Encoder(source, 2, 2), Decoder(target, 2, 2), **options)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"source": 9}, "source vocabulary sizes. Received: .7., .9."),
        ({"target": 9}, "same target vocabulary size. Received: 7, 9"),
        ({"start_id": 5}, "same `start_id`. Received: 2, 5"),
        ({"end_id": 5}, "same `end_id`. Received: 3, 5"),
    ],
)
def test_models_that_do_not_fit_together(other, message):
    with pytest.raises(ValueError, match=message):
        Ensemble([make(), make(**other)])


def test_models_that_copy():
    """What is copied is the mean of the models, too."""
    models = [
        Seq2Seq(Encoder(7, 3, 4), Decoder(7, 3, units, copying=True))
        for units in (4, 5)
    ]
    source = {name: [[4, 5, 6]] for name in ("source", "copies")}
    found = Ensemble(models).generate(source, max_length=3)
    for k in range(3):
        shares = [
            model.score(source, found.ids).copied[0, 0, k] for model in models
        ]
        assert_close(found.copied[0, 0, k], sum(shares) / 2)
    with pytest.raises(ValueError, match="same `unknown_copies`"):
        Ensemble([*models, Seq2Seq(Encoder(7, 3, 4), Decoder(7, 3, 4))])


def test_no_models():
    with pytest.raises(ValueError, match="models=\\[\\]"):
        Ensemble([])


def test_ids_outside_of_the_vocabulary(models):
    with pytest.raises(ValueError, match="`source` must hold ids from 0 to 6"):
        Ensemble(models).generate([[4, V]])
