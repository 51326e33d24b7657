"""The demonstration: the public commands in a row."""

import subprocess
import sys
import time
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

from rich.console import Console

from keras_recurrent import commands
from keras_recurrent.pipelines.recipe import load_recipe
from keras_recurrent.pipelines.run import Run, RunError

# Words in any case: the exported model converts them.
_WORDS = ("hello", "recurrent", "Tensorflow", "attention", "PRONUNCIATION")

# What a server would do: TensorFlow alone, without Keras and without us.
_CLEAN_PROCESS = """
import sys
sys.modules.update({"keras": None, "keras_recurrent": None})
import tensorflow as tf

directory, *words = sys.argv[1:]
model = tf.saved_model.load(directory)
outputs = model.signatures["serving_default"](text=tf.constant(words))
for word, prediction, score in zip(
    words, outputs["predictions"].numpy(), outputs["scores"].numpy()
):
    print(f"{word:15} {prediction.decode():32} log-probability {score:6.2f}")
"""


def run_demo(folder: Path) -> None:
    """Search, train, evaluate, export and serve; skip what is done.

    Args:
        folder: The run folder.
    """
    console = Console(highlight=False)
    began = time.perf_counter()

    def stage(command: str, result: Path | None, run: Callable) -> None:
        console.rule(f"[bold]{command}", align="left")
        if result is not None and result.exists():
            print(f"Done already: {result}")
            return
        start = time.perf_counter()
        run()
        print(f"Took {time.perf_counter() - start:.0f} s")

    with as_file(files("keras_recurrent") / "demo.yaml") as recipe:
        paths = Run(folder, load_recipe(recipe))
        stage(
            f"keras-recurrent tune {recipe} --run {folder}",
            paths.best,
            lambda: commands.tune(recipe, (), folder),
        )
    stage(
        f"keras-recurrent train {paths.best} --run {folder}",
        None,  # it looks itself whether there is anything left to do
        lambda: commands.train(paths.best, (), folder),
    )
    stage(
        f"keras-recurrent evaluate {folder}",
        paths.evaluation,
        lambda: commands.evaluate(folder, ()),
    )
    stage(
        f"keras-recurrent export {folder} {paths.export}",
        paths.export,
        lambda: commands.export(folder, paths.export, ()),
    )
    stage(
        "A new process that imports nothing but tensorflow",
        None,
        lambda: _serve(paths.export),
    )
    console.rule(f"[bold]All done in {time.perf_counter() - began:.0f} s")
    for name, path in (
        ("All results", folder),
        ("Search", paths.search / "results.csv"),
        ("Training curves", paths.training_picture),
        ("Attention", paths.attention_picture),
        ("Predictions", paths.predictions),
        ("SavedModel", paths.export),
    ):
        print(f"{name:16} {path}")
    print(f"Next: keras-recurrent predict {folder} your own words")


def _serve(export: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", _CLEAN_PROCESS, str(export), *_WORDS],
        capture_output=True,
        text=True,
    )
    print(process.stdout, end="")
    if process.returncode:
        raise RunError(f"{export}: cannot be served: {process.stderr.strip()}")
