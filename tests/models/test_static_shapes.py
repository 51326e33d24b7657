"""What a TPU needs: all of a step of training, and of decoding, in XLA.

Tests `seq2seq.py` and `generation.py`: with batches of static shape the whole
is compiled, nothing in it has a shape that depends on values, and it gives what
TensorFlow gives. (That a TPU takes it could not be tried.)
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import (
    Decoder,
    Encoder,
    MaskedAccuracy,
    MaskedCrossentropy,
    Seq2Seq,
)
from tests.oracles import assert_close, thorough

B, S, T, V = 4, 6, 5, 11


def batch():
    rng = np.random.default_rng(0)
    source = rng.integers(4, V, (B, S))
    source[1, 3:] = 0
    labels = rng.integers(4, V, (B, T))
    labels[2, 2:] = 0
    target = np.concatenate([np.full((B, 1), 2), labels[:, :-1]], axis=1)
    ids = {"source": source, "target": target}
    return tf.nest.map_structure(
        lambda one: tf.constant(one, tf.int32), (ids, labels)
    )


def compiled_model(options, **more):
    keras.utils.set_random_seed(0)
    model = Seq2Seq(
        Encoder(V, 4, 5, cell=options.get("cell", "gru")),
        Decoder(V, 4, 5, **options),
    )
    model.compile(
        keras.optimizers.Adam(0.01, global_clipnorm=1.0),
        MaskedCrossentropy(label_smoothing=0.1),
        metrics=[MaskedAccuracy()],
        **more,
    )
    model.build()
    model.optimizer.build(model.trainable_variables)
    return model


def assert_static(function, *arguments):
    """XLA writes sizes that are only bounded as `<=`."""
    hlo = function.experimental_get_compiler_ir(*arguments)(stage="hlo")
    shapes = [line for line in hlo.splitlines() if "[<=" in line]
    assert "ENTRY" in hlo
    assert not shapes


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "gru"},
        thorough({"cell": "lstm", "num_layers": 2, "input_feeding": True}),
        thorough({"cell": "gru", "attention": "luong"}),
    ],
    ids=str,
)
def test_a_step_of_training(options):
    data = batch()
    expected = compiled_model(options)
    logs = tf.function(expected.train_step, autograph=False)(data)
    model = compiled_model(options, jit_compile=True)
    step = tf.function(model.train_step, autograph=False, jit_compile=True)
    assert_close(step(data), logs, atol=1e-6)
    assert_close(model.get_weights(), expected.get_weights(), atol=1e-6)
    assert_static(step, data)


@pytest.mark.parametrize("beam_width", [1, 3])
def test_decoding(beam_width):
    model = compiled_model({"cell": "gru"})
    (inputs, _) = batch()
    generate = tf.function(
        lambda source: model.generate(
            source, beam_width=beam_width, max_length=T, jit_compile=True
        ),
        autograph=False,
        jit_compile=True,
    )
    expected = model.generate(
        inputs["source"], beam_width=beam_width, max_length=T
    )
    assert_close(generate(inputs["source"]), expected, atol=1e-5)
    assert_static(generate, inputs["source"])
