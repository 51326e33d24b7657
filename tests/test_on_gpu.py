"""What only a machine with a GPU can show; `make check-gpu` runs it.

The numbers of the GPU are compared with those of the processor, where our own
loops run. Where TensorFlow finds no GPU, all of it is skipped.
"""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.layers import GRU, LSTM, RNN, for_export, without_cudnn
from keras_recurrent.layers.cells import CELLS
from keras_recurrent.models import (
    Decoder,
    Encoder,
    MaskedCrossentropy,
    Seq2Seq,
)
from keras_recurrent.pipelines.batching import prefetched_to_device
from tests.layers.test_cudnn_rnn import MASKS, TO_CUDNN, U, X
from tests.models.test_training_without_logits import REPLICAS
from tests.oracles import assert_close, uneven_loss

pytestmark = pytest.mark.gpu

V = 20
SOURCE = np.random.default_rng(0).integers(4, V, (32, 7)).astype("int32")
TARGET = np.pad(SOURCE[:, ::-1], [(0, 0), (1, 0)], constant_values=2)
LABELS = np.pad(SOURCE[:, ::-1], [(0, 0), (0, 1)], constant_values=3)


@pytest.fixture(autouse=True)
def gpu():
    """The first GPU, which multiplies in whole `float32`."""
    if not tf.config.list_physical_devices("GPU"):
        pytest.skip("TensorFlow finds no GPU on this machine")
    was_on = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    yield "/GPU:0"
    tf.config.experimental.enable_tensor_float_32_execution(was_on)


@pytest.fixture
def cudnn_calls(monkeypatch):
    """The shapes of what cuDNN has put out."""
    calls = []
    cudnn = tf.raw_ops.CudnnRNNV3

    def counted(**arguments):
        outputs = cudnn(**arguments)
        calls.append(outputs[0].shape)
        return outputs

    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", counted)
    return calls


def outputs_and_gradients(layer, mask):
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = layer(x, mask=mask, training=True)
        loss = uneven_loss(outputs)
    return outputs, tape.gradient(loss, [x, *layer.trainable_variables])


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("make", [LSTM, GRU])
@pytest.mark.parametrize("backwards", [False, True])
def test_cudnn_with_every_mask(gpu, cudnn_calls, make, mask, backwards, seed):
    with tf.device(gpu):
        layer = make(
            U,
            return_sequences=True,
            return_state=True,
            go_backwards=backwards,
            bias_initializer="random_normal",
        )
        layer.build(X.shape)
        found = outputs_and_gradients(layer, MASKS[mask])
    assert bool(cudnn_calls) == (mask in TO_CUDNN)
    with tf.device("/CPU:0"), without_cudnn():
        expected = outputs_and_gradients(layer, MASKS[mask])
    assert_close(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", CELLS)
def test_xla(gpu, name, seed):
    with tf.device(gpu):
        layer = RNN(CELLS[name](U), return_sequences=True)
        layer.build(X.shape)
        compiled = tf.function(
            outputs_and_gradients, jit_compile=True, autograph=False
        )
        found = compiled(layer, MASKS["left"])
    with tf.device("/CPU:0"):
        expected = outputs_and_gradients(layer, MASKS["left"])
    assert_close(found, expected, atol=1e-3)


def trained(dtype=None, **options):
    """A model that has learned to read backwards, and its losses."""
    model = Seq2Seq(
        Encoder(V, 32, 32, cell="lstm", dtype=dtype),
        Decoder(V, 32, 32, cell="lstm", dtype=dtype),
        dtype=dtype,
    )
    model.compile("adam", MaskedCrossentropy(), **options)
    fitted = model.fit(
        {"source": SOURCE, "target": TARGET}, LABELS, epochs=30, verbose=0
    )
    return model, fitted.history["loss"]


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(gpu, dtype, seed):
    with tf.device(gpu):
        _, losses = trained(dtype)
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("compiled", [False, True])
def test_training_and_beams(gpu, compiled, seed):
    with tf.device(gpu):
        model, losses = trained(jit_compile=compiled)
        found = model.generate(SOURCE, beam_width=3, jit_compile=compiled)
    assert losses[-1] < 0.9 * losses[0]
    with tf.device("/CPU:0"), without_cudnn():
        expected = model.generate(SOURCE, beam_width=3)
    np.testing.assert_array_equal(found.ids, expected.ids)
    assert_close(found.log_probs, expected.log_probs, atol=1e-3)


def test_batches_wait_on_the_gpu(gpu):
    batches = tf.data.Dataset.range(4).batch(2)
    found = list(prefetched_to_device(batches))
    assert [batch.numpy().tolist() for batch in found] == [[0, 1], [2, 3]]
    # Where there are several, `tf.distribute` copies.
    several = len(tf.config.list_logical_devices("GPU")) > 1
    assert all(several or "GPU" in batch.device for batch in found)


def test_an_export_needs_no_gpu(gpu, tmp_path, seed):
    with tf.device(gpu):
        model, _ = trained()
        expected = model.generate(SOURCE, beam_width=3).ids.numpy()
        archive = keras.export.ExportArchive()
        with for_export():
            archive.add_endpoint(
                "generate",
                lambda source: model.generate(source, beam_width=3),
                input_signature=[tf.TensorSpec((None, None), tf.int32)],
            )
            archive.write_out(tmp_path / "served", verbose=False)
    code = f"""
import tensorflow as tf
assert not tf.config.list_physical_devices("GPU")
served = tf.saved_model.load({str(tmp_path / "served")!r})
found = served.generate(tf.constant({SOURCE.tolist()}))
print(found.ids.numpy().tolist())
"""
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert answer.stdout.strip() == str(expected.tolist())


def test_two_replicas():
    """Two parts of one GPU, in a process of their own."""
    code = REPLICAS.replace("CPU", "GPU").replace(
        "LogicalDeviceConfiguration()", "LogicalDeviceConfiguration(1024)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert answer.stdout.count("equal") == 2, answer.stderr[-3000:]
