"""A trained model as a SavedModel that needs nothing but TensorFlow."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from keras_recurrent.layers import for_export
from keras_recurrent.pipelines.predictor import load_predictor
from keras_recurrent.pipelines.run import Run, RunError
from keras_recurrent.pipelines.tensorflow_files import tensorflow_files


def export(run: Run, directory: str | Path, others: Sequence[Run] = ()) -> None:
    """Write the model of `run` as a SavedModel, vocabularies included.

    The signature `serving_default` takes `text` (N,), strings, and returns
    `predictions`, `scores`, `truncated` and `alignments` as `Predictor` does.
    It consists of core TensorFlow operations:

        model = tf.saved_model.load(directory)
        predict = model.signatures["serving_default"]
        predict(text=tf.constant(["hello"]))["predictions"]

    Args:
        run: A trained run.
        directory: Where to; it must be new or empty.
        others: More runs, to decode together, see `load_predictor`.

    Raises:
        RunError: something lies in `directory` already, it cannot be
            written, or as `load_predictor`.
    """
    directory = Path(directory)
    if directory.exists() and (
        not directory.is_dir() or any(directory.iterdir())
    ):
        raise RunError(
            f"{directory}: exists and is not empty. Nothing was overwritten: "
            "remove it or export to another directory"
        )
    predictor = load_predictor(run, others=others)
    directory.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that the last step is a mere renaming: there is
    # either a whole export or none.
    draft = tempfile.mkdtemp(prefix=".export-", dir=directory.parent)
    try:
        archive = keras.export.ExportArchive()
        archive.track(predictor.model)
        for vocabulary in (predictor.source, predictor.target):
            # For their look-up tables, those of vocabularies in them too.
            for module in (vocabulary, *vocabulary.submodules):
                archive.track(module)
        # It is to run anywhere.
        with for_export(), tensorflow_files(directory.parent):
            archive.add_endpoint(
                "serving_default",
                predictor.__call__,
                input_signature=[tf.TensorSpec((None,), tf.string, "text")],
            )
            archive.write_out(draft, verbose=False)
        Path(draft).chmod(0o755)
        Path(draft).replace(directory)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
