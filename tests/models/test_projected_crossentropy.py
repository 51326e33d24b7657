"""Projection and loss in chunks against all logits at once."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_recurrent.models import (
    Decoder,
    Encoder,
    MaskedAccuracy,
    MaskedCrossentropy,
    Seq2Seq,
)
from keras_recurrent.models.projected_crossentropy import (
    projected_crossentropy,
)
from tests.oracles import thorough, tried

U, V = 5, 11


def data(batch, steps, seed=0, real=0.6, size=V):
    rng = np.random.default_rng(seed)
    outputs = rng.normal(size=(batch, steps, U)).astype("float32")
    kernel = rng.normal(size=(U, size)).astype("float32")
    bias = rng.normal(size=size).astype("float32")
    labels = rng.integers(1, size, (batch, steps))
    labels *= rng.random((batch, steps)) < real
    weights = rng.random((batch, steps)).astype("float32")
    return outputs, kernel, bias, labels, weights * (labels != 0)


def reference(outputs, kernel, bias, labels, weights, smoothing):
    """With all logits, by Keras."""
    logits = tf.matmul(outputs, kernel[tf.newaxis]) + bias
    size = len(bias)
    targets = tf.one_hot(labels, size) * (1 - smoothing) + smoothing / size
    losses = keras.losses.categorical_crossentropy(
        targets, logits, from_logits=True
    )
    return tf.reduce_sum(losses * weights), tf.argmax(logits, -1)


@tried(few=6, many=40)
@given(
    batch=st.integers(1, 40),
    steps=st.integers(1, 20),
    real=st.sampled_from([0.0, 0.3, 1.0]),
    smoothing=st.sampled_from([0.0, 0.1]),
    size=st.sampled_from([V, 300]),
)
def test_it_is_what_all_logits_give(batch, steps, real, smoothing, size):
    """Up to 800 tokens are four chunks, of which some have no token.

    XLA compiles the loss of a large vocabulary.
    """
    *given, labels, weights = data(batch, steps, real=real, size=size)
    sources = [tf.constant(value) for value in given]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(sources)
        expected, best = reference(*sources, labels, weights, smoothing)
        found = projected_crossentropy(*sources, labels, weights, smoothing)
        loss, scaled = found.loss, 3.0 * found.loss
    np.testing.assert_allclose(loss, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(
        found.predictions, np.where(labels != 0, best, 0)
    )
    for factor, target in ((1.0, loss), (3.0, scaled)):
        for a, b in zip(
            tape.gradient(target, sources),
            tape.gradient(expected, sources),
            strict=True,
        ):
            np.testing.assert_allclose(a, factor * b, rtol=1e-3, atol=1e-4)


def test_predictions_are_for_who_asks():
    given = [tf.constant(value) for value in data(4, 3)]
    found = projected_crossentropy(*given, predict=False)
    assert found.predictions is None
    expected = projected_crossentropy(*given)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-6)


def test_fit_without_a_metric_is_fit_with_one():
    x, y, _ = batches()
    losses = []
    for metrics in ([], [MaskedAccuracy()]):
        one = model()
        one.compile(
            keras.optimizers.SGD(0.5), MaskedCrossentropy(), metrics=metrics
        )
        fitted = one.fit(x, y, 16, epochs=2, shuffle=False, verbose=0)
        assert ("accuracy" in fitted.history) == bool(metrics)
        scores = one.evaluate(x, y, verbose=0, return_dict=True)
        losses.append([*fitted.history["loss"], scores["loss"]])
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.parametrize("known", [True, False])
def test_compiled_and_in_graphs_of_unknown_shape(known):
    *given, labels, weights = data(30, 20)

    def run(outputs, kernel, bias):
        with tf.GradientTape() as tape:
            tape.watch([outputs, kernel, bias])
            loss = projected_crossentropy(
                outputs, kernel, bias, labels, weights
            ).loss
        return loss, *tape.gradient(loss, [outputs, kernel, bias])

    shape = (30, 20, U) if known else (None, None, U)
    traced = tf.function(
        run,
        input_signature=[
            tf.TensorSpec(shape),
            tf.TensorSpec((U, V)),
            tf.TensorSpec((V,)),
        ],
        jit_compile=known,
        autograph=False,
    )
    eager = run(*(tf.constant(value) for value in given))
    for a, b in zip(traced(*given), eager, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_padding_is_not_looked_at():
    outputs, kernel, bias, labels, weights = data(7, 6)
    outputs[labels == 0] = np.nan
    sources = [tf.constant(value) for value in (outputs, kernel, bias)]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        found = projected_crossentropy(*sources, labels, weights)
    for gradient in tape.gradient(found.loss, sources):
        assert np.isfinite(gradient).all()
    assert np.isfinite(found.loss)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_keeps_small_gradients(dtype):
    """Gradients of 1e-9 would be zeros in float16 before they are scaled."""
    outputs, kernel, bias, labels, weights = data(4, 5)
    full = tf.constant(outputs)
    half = tf.cast(outputs, dtype)
    with tf.GradientTape() as tape:
        tape.watch([full, half])
        expected, _ = reference(full, kernel, bias, labels, 1e-9 * weights, 0)
        expected *= 1e8
        found = projected_crossentropy(
            half, kernel, bias, labels, 1e-9 * weights
        )
        loss = found.loss * 1e8
    a, b = tape.gradient([expected, loss], [full, half])
    assert b.dtype == dtype
    np.testing.assert_allclose(tf.cast(b, tf.float32), a, atol=0.01)


def model(tie_embeddings=False, dtype=None):
    keras.utils.set_random_seed(0)
    made = Seq2Seq(
        Encoder(12, 4, 4, cell="simple_rnn", bidirectional=False, dtype=dtype),
        Decoder(
            V,
            4,
            4,
            cell="simple_rnn",
            tie_embeddings=tie_embeddings,
            dtype=dtype,
        ),
    )
    made.build()
    return made


def batches():
    rng = np.random.default_rng(0)
    source = rng.integers(1, 12, (32, 5))
    labels = rng.integers(1, V, (32, 6)) * (rng.random((32, 6)) < 0.8)
    target = np.concatenate([np.full((32, 1), 2), labels[:, :-1]], 1)
    weights = rng.random((32, 1)).astype("float32")
    return {"source": source, "target": target}, labels, weights


class Foreign(keras.metrics.Mean):
    """It wants the logits."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        assert y_pred.shape[-1] == V
        super().update_state(y_pred)


@pytest.mark.parametrize(
    "options",
    [
        {},
        thorough({"jit_compile": True}),
        thorough({"tie_embeddings": True}),
        thorough({"dtype": "mixed_bfloat16"}),
        thorough({"label_smoothing": 0.1, "average_over": "time"}),
        {"weighted": True, "reduction": "mean_with_sample_weight"},
    ],
)
def test_fit_is_what_it_is_with_a_metric_that_wants_logits(options):
    """Such a metric makes it take the way of all logits."""
    options = dict(options)
    made = {
        name: options.pop(name)
        for name in ("tie_embeddings", "dtype")
        if name in options
    }
    jit_compile = options.pop("jit_compile", False)
    x, y, weights = batches()
    weights = weights if options.pop("weighted", False) else None
    results = []
    for metrics in ([], [Foreign()]):
        one = model(**made)
        one.compile(
            keras.optimizers.SGD(0.5),
            MaskedCrossentropy(**options),
            metrics=[MaskedAccuracy(), *metrics],
            jit_compile=jit_compile,
        )
        history = one.fit(
            x, y, 16, epochs=2, shuffle=False, verbose=0, sample_weight=weights
        ).history
        scores = one.evaluate(
            x, y, sample_weight=weights, verbose=0, return_dict=True
        )
        results.append((history, scores, one.get_weights()))
    (history, scores, ours), (others, other_scores, expected) = results
    half = made.get("dtype") is not None
    rtol = 0.02 if half else 1e-4
    # In half precision, one or two tokens of 160 may turn.
    for name, atol in (("loss", 0.0), ("accuracy", 0.02 * half)):
        for a, b in ((history, others), (scores, other_scores)):
            np.testing.assert_allclose(a[name], b[name], rtol, atol)
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=0.03 if half else 1e-4)


def test_tied_embeddings_are_the_projection():
    one = model(tie_embeddings=True)
    x, y, _ = batches()
    embeddings = one.decoder.embedding.embeddings
    assert one.decoder.output_layer is None
    memory, summary = one.encoder(x["source"])
    outputs, _ = one.decoder(x["target"], memory, summary, project=False)
    np.testing.assert_allclose(
        one.decoder(x["target"], memory, summary),
        np.asarray(outputs) @ np.asarray(embeddings).T,
        atol=1e-5,
    )
    clone = Decoder.from_config(one.decoder.get_config())
    assert clone.get_config() == one.decoder.get_config()
    with pytest.raises(ValueError, match="embedding_dim=3, output_size=4"):
        Decoder(V, 3, 4, tie_embeddings=True)


@pytest.mark.parametrize("name", ["labels", "weights"])
def test_labels_of_another_shape(name):
    given = dict(
        zip(
            ("outputs", "kernel", "bias", "labels", "weights"),
            map(tf.constant, data(4, 3)),
            strict=True,
        )
    )
    given[name] = given[name][:, :2]
    message = rf"`{name}` must be of the shape \(4, 3\).*\(4, 2\)"
    with pytest.raises(ValueError, match=message):
        projected_crossentropy(**given)


def test_labels_of_another_shape_than_was_known():
    outputs, kernel, bias, labels, weights = data(4, 3)
    unknown = [
        tf.TensorSpec((None, None, U)),
        tf.TensorSpec((None, None), tf.int64),
        tf.TensorSpec((None, None)),
    ]

    @tf.function(input_signature=unknown)
    def loss(outputs, labels, weights):
        return projected_crossentropy(
            outputs, kernel, bias, labels, weights
        ).loss

    with pytest.raises(tf.errors.InvalidArgumentError):
        loss(outputs, labels[:, :2], weights[:, :2])
