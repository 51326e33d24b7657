"""The exported model serves without us, and the same as with us."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_recurrent.pipelines import export as module
from keras_recurrent.pipelines.export import export
from keras_recurrent.pipelines.predictor import load_predictor
from keras_recurrent.pipelines.run import Run, RunError

TEXTS = ["abca", "DAB", "", "a☃b", "abc" * 300]

SERVE = """
import json, sys
sys.modules.update({"keras": None, "keras_recurrent": None})
import tensorflow as tf

model = tf.saved_model.load(sys.argv[1])
serve = model.signatures["serving_default"]
answers = []
for texts in (json.loads(sys.argv[2]), []):
    outputs = serve(text=tf.constant(texts, tf.string))
    answers.append({
        "predictions": [p.decode() for p in outputs["predictions"].numpy()],
        "scores": outputs["scores"].numpy().tolist(),
        "truncated": outputs["truncated"].numpy().tolist(),
        "alignments": outputs["alignments"].numpy().tolist(),
        "dtypes": {name: x.dtype.name for name, x in outputs.items()},
    })
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """Written to an empty directory, then moved; not to be changed."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / "export").mkdir()
    export(Run.open(trained), folder / "export")
    return (folder / "export").rename(folder / "moved elsewhere")


def served(folder):
    """What a process with TensorFlow alone answers: to texts, to nothing."""
    process = subprocess.run(
        [sys.executable, "-c", SERVE, str(folder), json.dumps(TEXTS)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(process.stdout.splitlines()[-1])


def test_a_process_with_tensorflow_alone_serves_it(trained, exported):
    answers, nothing = served(exported)
    expected = load_predictor(Run.open(trained))(tf.constant(TEXTS))
    assert answers["predictions"] == [
        p.decode() for p in expected["predictions"].numpy()
    ]
    assert answers["truncated"] == expected["truncated"].numpy().tolist()
    for name in ("scores", "alignments"):
        np.testing.assert_allclose(
            answers[name], expected[name].numpy(), atol=1e-4
        )
    assert answers["dtypes"] == {
        "predictions": "string",
        "scores": "float32",
        "truncated": "bool",
        "alignments": "float32",
    }
    assert nothing["predictions"] == nothing["scores"] == []


def test_it_serves_an_ensemble(trained, barely_trained, tmp_path):
    run, other = Run.open(trained), Run.open(barely_trained)
    export(run, tmp_path / "export", [other])
    answers, _ = served(tmp_path / "export")
    texts = tf.constant(TEXTS)
    expected = load_predictor(run, others=[other])(texts)
    assert answers["predictions"] == [
        p.decode() for p in expected["predictions"].numpy()
    ]
    for name in ("scores", "alignments"):
        np.testing.assert_allclose(
            answers[name], expected[name].numpy(), atol=1e-4
        )
    alone = load_predictor(run)(texts)["scores"]
    assert not np.allclose(answers["scores"], alone, atol=0.01)


def test_it_consists_of_core_operations(exported):
    loaded = tf.saved_model.load(str(exported))
    graph = loaded.signatures["serving_default"].graph.as_graph_def()
    operations = {node.op for node in graph.node}
    for function in graph.library.function:
        operations |= {node.op for node in function.node_def}
    assert "StringUpper" not in operations  # the recipe says lower
    assert "StringLower" in operations
    # As plain kernels, of this process: not of plugins, Python or a GPU.
    assert not {
        op for op in operations if op.startswith("Cudnn") or "PyFunc" in op
    }


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_nothing_is_overwritten(trained, tmp_path, kind):
    target = tmp_path / "export"
    kept = target
    if kind == "directory":
        target.mkdir()
        kept = target / "mine.txt"
    kept.write_text("mine")
    with pytest.raises(RunError, match="exists and is not empty"):
        export(Run.open(trained), target)
    assert kept.read_text() == "mine"
    assert len(list(tmp_path.rglob("*"))) == 1 + (kind == "directory")


def test_an_empty_directory_is_used(exported):
    assert (exported / "saved_model.pb").exists()
    # And no draft is left next to it.
    assert list(exported.parent.iterdir()) == [exported]


def test_a_failure_leaves_nothing_behind(trained, tmp_path, monkeypatch):
    def fail(self, target):
        raise OSError("no space left")

    monkeypatch.setattr(module.Path, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        export(Run.open(trained), tmp_path / "new" / "export")
    assert not list((tmp_path / "new").iterdir())
