"""Models as SavedModels that need nothing but TensorFlow."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.models import (
    Decoder,
    Encoder,
    MaskedCrossentropy,
    Seq2Seq,
)

DOCS = Path(__file__).parents[2] / "docs"
V = 12
SOURCE = np.array([[4, 5, 6], [7, 8, 0]], "int32")
TARGET = np.array([[2, 9, 4, 5], [2, 5, 0, 0]], "int32")


def make(**kwargs):
    return Seq2Seq(Encoder(V, 5, 6), Decoder(V, 5, 6), **kwargs)


def test_the_examples_of_the_page(tmp_path, monkeypatch, seed):
    page = (DOCS / "decoding.md").read_text()
    section = page.split("\n## Exporting\n")[1].split("\n## ")[0]
    written, used = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    model = make()
    monkeypatch.chdir(tmp_path)
    exec(written, {"model": model})
    expected = model.generate(SOURCE, beam_width=5, n_best=1)

    names = {}
    exec(used, names)
    for name, value in expected._asdict().items():
        found = getattr(names["found"], name)
        np.testing.assert_allclose(found, value, atol=1e-5)
    serve = names["loaded"].signatures["serving_default"]
    # Of another shape than the one it was made for, if it was for one.
    longer = np.pad(SOURCE[:1], [(0, 0), (0, 4)])
    np.testing.assert_allclose(
        serve(source=tf.constant(longer))["ids"], expected.ids[:1]
    )

    without = "import sys; sys.modules.update(keras=None, keras_recurrent=None)"
    process = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{without}\n{used}\nprint(found.ids.numpy().tolist())",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    ids = process.stdout.splitlines()[-1]
    assert ids == str(expected.ids.numpy().tolist())


@pytest.mark.parametrize("used", [False, True])
def test_export_with_teacher_forcing(used, tmp_path, seed):
    model = make()
    inputs = {"source": SOURCE, "target": TARGET}
    if used:
        model.compile("adam", MaskedCrossentropy(), run_eagerly=True)
        model.fit(inputs, TARGET, verbose=0)
        model.predict(inputs, verbose=0)
        model(inputs)
    model.export(tmp_path / "exported", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_allclose(loaded.serve(inputs), model(inputs), atol=1e-6)
    serve = loaded.signatures["serving_default"]
    logits = serve(source=SOURCE[:1, :2], target=TARGET[:1, :2])["output_0"]
    part = model({"source": SOURCE[:1, :2], "target": TARGET[:1, :2]})
    np.testing.assert_allclose(logits, part, atol=1e-6)


def test_export_of_a_model_that_is_told_alignments(tmp_path, seed):
    model = make(guided_attention=1.0)
    model.export(tmp_path / "exported", verbose=False)
    inputs = {"source": SOURCE, "target": TARGET}
    inputs["alignments"] = np.ones((2, 4, 3), "float32")
    loaded = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_allclose(loaded.serve(inputs), model(inputs), atol=1e-6)
