"""Files written before the modules moved still load and give the same.

`golden/files` was written at version 0.1.0, when `layers/` had no floors.
"""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.pipelines import Run, load_predictor

FILES = Path(__file__).parent / "golden" / "files"
WORDS = {"abcd": "D C A", "dab": "B A D", "ca": "A C"}


@pytest.fixture(scope="module")
def numbers():
    with np.load(FILES / "numbers.npz") as file:
        return dict(file)


def test_layers(numbers):
    model = keras.saving.load_model(FILES / "layers.keras")
    outputs = model.predict(numbers["x"], verbose=0)
    np.testing.assert_allclose(outputs, numbers["y"], atol=1e-6)


def test_seq2seq(numbers):
    model = keras.saving.load_model(FILES / "seq2seq.keras")
    logits = model({name: numbers[name] for name in ("source", "target")})
    np.testing.assert_allclose(logits, numbers["logits"], atol=1e-5)


def test_a_run_folder(tmp_path):
    folder = shutil.copytree(FILES / "run", tmp_path / "run")
    predict = load_predictor(Run.open(folder))
    found = predict(tf.constant(list(WORDS)))["predictions"].numpy()
    assert [text.decode() for text in found] == list(WORDS.values())


def test_a_saved_model():
    model = tf.saved_model.load(str(FILES / "run" / "export"))
    serve = model.signatures["serving_default"]
    found = serve(text=tf.constant(list(WORDS)))["predictions"].numpy()
    assert [text.decode() for text in found] == list(WORDS.values())
