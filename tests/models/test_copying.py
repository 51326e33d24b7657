"""Tests `copying.py` and `coverage_loss.py`, and the decoder that copies."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import Decoder, Encoder, MaskedCrossentropy, Seq2Seq
from keras_recurrent.models.copying import copying_logits
from keras_recurrent.models.coverage_loss import coverage_loss

V, MORE, E, U = 9, 3, 4, 6
SOURCE = np.array([[4, 1, 5, 1, 4], [6, 1, 7, 0, 0]])
COPIES = np.array([[4, 9, 5, 10, 4], [6, 9, 0, 0, 0]])
TARGET = np.array([[2, 4, 9, 10], [2, 9, 6, 0]])
LABELS = np.array([[4, 9, 10, 3], [9, 6, 3, 0]])
INPUTS = {"source": SOURCE, "copies": COPIES, "target": TARGET}


def softmax(x):
    exponentials = np.exp(x - x.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def mixture(logits, generating, alignments, copies, more):
    """Equation 9 of See et al. (2017), token by token."""
    size = logits.shape[-1] + more
    p = np.zeros((*logits.shape[:-1], size))
    gate = 1 / (1 + np.exp(-generating))
    p[..., : logits.shape[-1]] = gate[..., None] * softmax(logits)
    for b, sentence in enumerate(copies):
        for s, token in enumerate(sentence):
            if token:
                p[b, :, token] += (1 - gate[b]) * alignments[b, :, s]
    return p


def model_that_copies(**options):
    return Seq2Seq(
        Encoder(V, E, U),
        Decoder(V, E, U, copying=True, unknown_copies=MORE, **options),
        coverage=0.5,
    )


@pytest.mark.parametrize("jit_compile", [False, True])
def test_mixture(jit_compile):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 4, V)).astype("float32")
    generating = rng.normal(size=(2, 4)).astype("float32")
    alignments = softmax(rng.normal(size=(2, 4, 5))) * (COPIES != 0)[:, None]
    alignments = alignments.astype("float32")
    mix = tf.function(copying_logits, jit_compile=jit_compile, autograph=False)
    found = mix(logits, generating, alignments, COPIES, MORE)
    expected = mixture(logits, generating, alignments, COPIES, MORE)
    np.testing.assert_allclose(np.exp(found), expected, atol=1e-6)
    assert np.all(np.exp(found)[0, :, 11] < 1e-20)  # No such token is there.


def test_gradients_of_the_mixture_are_those_of_differences():
    rng = np.random.default_rng(0)
    given = [
        rng.normal(size=(2, 4, V)),
        rng.normal(size=(2, 4)),
        softmax(rng.normal(size=(2, 4, 5))),
    ]
    variables = [tf.Variable(x.astype("float32")) for x in given]

    def loss(*values):
        p = mixture(*values, COPIES, MORE)
        return -np.log(np.take_along_axis(p, LABELS[..., None], -1)).sum()

    with tf.GradientTape() as tape:
        logits = copying_logits(*variables, COPIES, MORE)
        total = -tf.reduce_sum(tf.gather(logits, LABELS, batch_dims=2))
    for i, gradient in enumerate(tape.gradient(total, variables)):
        place = tuple(0 for _ in given[i].shape)
        more, less = ([x.copy() for x in given] for _ in range(2))
        more[i][place] += 1e-5
        less[i][place] -= 1e-5
        slope = (loss(*more) - loss(*less)) / 2e-5
        assert gradient.numpy()[place] == pytest.approx(slope, abs=1e-3)


def test_coverage_loss():
    alignments = softmax(np.random.default_rng(0).normal(size=(2, 4, 5)))
    total = 0.0
    for b in range(2):
        covered = np.zeros(5)
        for t in range(4):
            total += np.minimum(alignments[b, t], covered).sum() * (
                TARGET[b, t] != 0
            )
            covered += alignments[b, t]
    found = coverage_loss(alignments, TARGET)
    assert float(found) == pytest.approx(total / 7, rel=1e-5)
    assert float(coverage_loss(alignments, 0 * TARGET)) == 0


@pytest.mark.parametrize(
    "options",
    [{}, {"deep_output": True, "query": "conditional"}, {"query": "new_state"}],
    ids=str,
)
def test_steps_are_those_of_teacher_forcing(seed, options):
    model = model_that_copies(**options)
    model.build()
    logits = model(INPUTS)
    np.testing.assert_allclose(np.exp(logits)[0].sum(-1), 1, rtol=1e-5)
    decoder = model.decoder
    # The gate of the equations.
    outputs, _ = model.outputs_and_logits(INPUTS)
    x = decoder.embedding.get_weights()[0][np.where(TARGET < V, TARGET, 1)]
    of_output, of_token = (
        layer.get_weights() for layer in decoder.generating_layers
    )
    gate = outputs.numpy() @ of_output[0] + x @ of_token[0] + of_token[1]
    copied = 1 - 1 / (1 + np.exp(-gate[..., 0]))
    for tokens in (1, 1000):  # Without a table of inputs, and with one.
        step, state = model.start(INPUTS, tokens)
        for t in range(3):
            found, alignments, state = step(TARGET[:, t], state)
            np.testing.assert_allclose(found, logits[:, t], atol=1e-5)
            np.testing.assert_allclose(
                alignments[:, -1], copied[:, t], atol=1e-5
            )
            looked = alignments[:, :-1].numpy().sum(-1)
            np.testing.assert_allclose(looked, 1, rtol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("beam_width", [1, 3])
def test_searches_tell_what_was_copied(seed, beam_width, jit_compile):
    model = model_that_copies()
    found = model.generate(
        {"source": SOURCE, "copies": COPIES},
        beam_width=beam_width,
        max_length=6,
        coverage_penalty=0.1,
        jit_compile=jit_compile,
    )
    assert found.alignments.shape == (2, beam_width, 6, 5)
    assert found.copied.shape == (2, beam_width, 6)
    written = found.ids.numpy() != 0
    assert np.all((found.copied.numpy() > 0) == written)
    scored = model.score({"source": SOURCE, "copies": COPIES}, found.ids)
    np.testing.assert_allclose(
        scored.log_probs, found.log_probs, rtol=1e-5, atol=1e-5
    )
    drawn = model.sample({"source": SOURCE, "copies": COPIES}, 1, 2, 4)
    assert drawn.copied.shape == (2, 2, 4)


def test_padding_changes_nothing(seed):
    model = model_that_copies()
    source = {"source": SOURCE, "copies": COPIES}
    padded = {k: np.pad(v, [[0, 0], [0, 4]]) for k, v in source.items()}
    found, again = (model.generate(s, 3, 6) for s in (source, padded))
    np.testing.assert_array_equal(again.ids, found.ids)
    np.testing.assert_allclose(again.log_probs, found.log_probs, atol=1e-5)
    np.testing.assert_allclose(again.copied, found.copied, atol=1e-5)
    target = {"target": TARGET}
    np.testing.assert_allclose(
        model(padded | target), model(source | target), atol=1e-5
    )


def test_it_learns_to_copy_words_that_it_does_not_know(seed, tmp_path):
    """Sources of unknown words are to be written backwards."""
    rng = np.random.default_rng(0)
    source = np.ones((512, 4), int)
    copies = np.array([rng.permutation(4) + V for _ in source])
    source[:, 0] = copies[:, 0] = 4
    source = np.where(copies < V, copies, 1)
    labels = np.concatenate([copies[:, ::-1], np.full((512, 1), 3)], 1)
    target = np.concatenate([np.full((512, 1), 2), copies[:, ::-1]], 1)
    model = Seq2Seq(
        Encoder(V, 8, 32), Decoder(V, 8, 32, copying=True, unknown_copies=4)
    )
    model.compile(keras.optimizers.Adam(0.02), MaskedCrossentropy())
    inputs = {"source": source, "copies": copies, "target": target}
    history = model.fit(inputs, labels, batch_size=32, epochs=6, verbose=0)
    assert history.history["loss"][-1] < 0.1
    found = model.generate({"source": source[:9], "copies": copies[:9]})
    np.testing.assert_array_equal(found.ids[:, 0, :5], labels[:9])
    assert np.all(found.copied[:, 0, :3].numpy() > 0.5)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        again(inputs)[:8], model(inputs)[:8], rtol=1e-5, atol=1e-4
    )


def test_training_keeps_to_the_equations(seed):
    model = model_that_copies()
    model.compile("sgd", MaskedCrossentropy())
    model.build()
    outputs, logits = model.outputs_and_logits(INPUTS)
    p = softmax(logits.numpy())
    losses = -np.log(np.take_along_axis(p, LABELS[..., None], -1))[..., 0]
    expected = losses[LABELS != 0].mean()
    _, _, alignments = model._run(
        {k: tf.constant(INPUTS[k]) for k in ("source", "copies")},
        tf.constant(TARGET),
    )
    expected += 0.5 * float(coverage_loss(alignments, TARGET))
    tensors = tf.nest.map_structure(tf.constant, INPUTS)
    found = model.test_on_batch(tensors, tf.constant(LABELS))
    assert float(np.ravel(found)[0]) == pytest.approx(expected, rel=1e-5)


def test_what_is_missing_is_told():
    model = model_that_copies()
    with pytest.raises(ValueError, match='"copies"'):
        model.generate(SOURCE)
    with pytest.raises(ValueError, match="from 0 to 11"):
        model.generate({"source": SOURCE, "copies": COPIES + 9})
    with pytest.raises(ValueError, match="needs `copying`"):
        Decoder(V, E, U, unknown_copies=3)
    with pytest.raises(ValueError, match="`coverage` must not be negative"):
        Seq2Seq(Encoder(V, E, U), Decoder(V, E, U), coverage=-1)
