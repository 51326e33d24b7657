"""Models whose layers of Keras are quantized, or trained by LoRA.

Tests `inner_policies.py`.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import (
    Decoder,
    Encoder,
    MaskedCrossentropy,
    Seq2Seq,
)
from tests.oracles import thorough

pytestmark = [
    # What Keras says of the cells and of attention, and of `float8`.
    pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`"),
    pytest.mark.filterwarnings("ignore:Invalid quantization mode"),
    # And what NumPy says of Keras.
    pytest.mark.filterwarnings("ignore:__array__ implementation"),
]

V, U = 12, 6
SOURCE = np.array([[4, 5, 6], [7, 8, 0]], "int32")
TARGET = np.array([[2, 9, 4, 5], [2, 5, 0, 0]], "int32")
LABELS = np.array([[9, 4, 5, 3], [5, 3, 0, 0]], "int32")
INPUTS = {"source": SOURCE, "target": TARGET}


def make(**kwargs):
    model = Seq2Seq(Encoder(V, U, U), Decoder(V, U, U, **kwargs))
    model.build()
    # Logits large enough to tell.
    for weight in model.weights:
        if weight.name != "embeddings":
            weight.assign(3 * weight)
    return model


def step_logits(model, num_tokens):
    step, state = model.start(SOURCE, num_tokens)
    return step(tf.constant([2, 9]), state)[0]


def test_a_quantized_output_layer_is_asked(seed):
    model = make()
    y, _ = model.decoder(
        TARGET, *model.encoder(SOURCE, mask=SOURCE != 0), project=False
    )
    kernel, bias = model.decoder.output_layer.get_weights()
    model.decoder.output_layer.quantize("int8")
    # Rows of y and columns of W, rounded to 127 steps each.
    row_scale = 127 / np.abs(y).max(-1, keepdims=True)
    column_scale = 127 / np.abs(kernel).max(0)
    product = np.round(y * row_scale) @ np.round(kernel * column_scale)
    expected = product / row_scale / column_scale + bias
    memory, summary = model.encoder(SOURCE, mask=SOURCE != 0)
    logits = model.decoder(TARGET, memory, summary)
    np.testing.assert_allclose(logits, expected, atol=1e-4)


@pytest.mark.parametrize("mode", ["int8", "int4"])
@pytest.mark.parametrize("tied", [False, True])
def test_a_quantized_embedding_is_asked(tied, mode, seed):
    model = make(tie_embeddings=tied)
    before = step_logits(model, 1)
    model.decoder.embedding.quantize(mode)
    few, many = (step_logits(model, count) for count in (1, 200))
    np.testing.assert_allclose(few, many, atol=1e-5)
    error = {"int8": 0.02, "int4": 0.3}[mode] * np.abs(before).max()
    np.testing.assert_allclose(few, before, atol=error)


@pytest.mark.parametrize(
    ("mode", "error"),
    [("int8", 0.02), thorough("int4", 0.3), ("float8", 0.1)],
)
def test_a_quantized_model_is_near_and_can_be_saved(
    mode, error, tmp_path, seed
):
    model = make()
    before = model(INPUTS).numpy()
    model.generate(SOURCE, max_length=2)
    model.quantize(mode)
    logits = model(INPUTS)
    assert not np.allclose(logits, before, atol=1e-5)
    np.testing.assert_allclose(
        logits, before, atol=error * np.abs(before).max()
    )
    # No graph that was made before is used again.
    log_probs = tf.nn.log_softmax(logits)
    gained = tf.gather(log_probs, LABELS, batch_dims=2)
    scored = model.score(SOURCE, LABELS).token_log_probs[:, 0]
    np.testing.assert_allclose(scored, np.where(LABELS, gained, 0), atol=1e-4)
    found = model.generate(SOURCE, max_length=2)

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(INPUTS), logits)
    again = loaded.generate(SOURCE, max_length=2)
    np.testing.assert_array_equal(again.ids, found.ids)


def test_a_quantized_model_is_trained_with_its_own_logits(seed):
    model = make()
    model.quantize("int8")
    model.compile("sgd", MaskedCrossentropy(), run_eagerly=True)
    loss = model.evaluate(INPUTS, LABELS, verbose=0)
    logits = model(INPUTS)
    expected = MaskedCrossentropy()(LABELS, logits)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    kernel = model.decoder.attention_cell.output_kernel.numpy()
    model.fit(INPUTS, LABELS, verbose=0)
    after = model.decoder.attention_cell.output_kernel.numpy()
    assert np.abs(after - kernel).max() > 1e-5


@pytest.mark.parametrize("tied", [False, True])
def test_lora_is_trained_and_decoded_with(tied, tmp_path, seed):
    model = make(tie_embeddings=tied)
    model.compile("sgd", MaskedCrossentropy(), run_eagerly=True)
    model.score(SOURCE, LABELS)
    layers = [model.decoder.embedding, model.encoder.embedding]
    if not tied:
        layers.append(model.decoder.output_layer)
    for layer in layers:
        layer.enable_lora(2)
        layer._trainable_variables[-1].assign_add(
            tf.ones_like(layer._trainable_variables[-1])
        )
    model.compile("sgd", MaskedCrossentropy(), run_eagerly=True)
    logits = model(INPUTS)
    gained = tf.gather(tf.nn.log_softmax(logits), LABELS, batch_dims=2)
    scored = model.score(SOURCE, LABELS).token_log_probs[:, 0]
    np.testing.assert_allclose(scored, np.where(LABELS, gained, 0), atol=1e-4)
    # Its gradients through the loss that never has all logits.
    weights = [w for w in model.trainable_weights if "lora" in w.path]
    assert len(weights) == 2 * len(layers)
    loss = MaskedCrossentropy()
    gradients = []
    for inputs in (
        INPUTS,
        INPUTS
        | {
            "labels": LABELS,
            "token_weights": loss.token_weights(LABELS, None),
        },
    ):
        with tf.GradientTape() as tape:
            found = model(inputs, training=True)
            value = loss(LABELS, found) if "labels" not in inputs else found[0]
        gradients.append(tape.gradient(value, [w.value for w in weights]))
    for ours, expected in zip(*reversed(gradients), strict=True):
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(ours, expected, atol=1e-5)

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(INPUTS), logits, atol=1e-5)


def test_a_layer_keeps_a_policy_of_its_own(tmp_path, seed):
    decoder = Decoder(V, U, U, dtype="mixed_float16")
    decoder.output_layer.dtype_policy = "float32"
    model = Seq2Seq(Encoder(V, U, U, dtype="mixed_float16"), decoder)
    model.build()
    y, _ = decoder(TARGET, *model.encoder(SOURCE), project=False)
    kernel, bias = decoder.output_layer.get_weights()
    expected = y.numpy().astype("float32") @ kernel + bias
    np.testing.assert_allclose(decoder.logits(y), expected, atol=1e-6)
    clone = keras.models.clone_model(model)
    assert clone.decoder.output_layer.dtype_policy.name == "float32"
    assert clone.decoder.embedding.dtype_policy.name == "mixed_float16"


def test_modes_that_cannot_work():
    config = keras.quantizers.GPTQConfig(dataset=["a"], tokenizer=str.split)
    model = make()
    with pytest.raises(ValueError, match="mode='gptq'"):
        model.quantize(config=config)
    assert model.decoder.output_layer.quantization_mode is None
