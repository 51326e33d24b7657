"""Settings shared by all tests."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

# Before anything imports TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
from filelock import FileLock
from hypothesis import settings

from tests.workers import free_port

# `make test-thorough` names it; see `tried` in `oracles.py`.
settings.register_profile("thorough", deadline=None)

_CORES = "keras_recurrent.layers.ops.side_by_side.available_cores"


@pytest.fixture(autouse=True, scope="session")
def one_core() -> Iterator[None]:
    """As if there were one core, as there is for each of several workers.

    Our loops over time are then one and not several side by side, and graphs
    so much smaller. Tests of that have a number of their own.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_CORES, lambda: 1)
        yield


@pytest.fixture
def have_cores(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """As if there were so many cores."""
    return lambda cores: monkeypatch.setattr(_CORES, lambda: cores)


@pytest.fixture(autouse=True, scope="session")
def blank_board() -> Iterator[None]:
    """Have trainings draw nothing for TensorBoard: a third of a tiny epoch.

    Its own tests draw.
    """
    from keras_recurrent.pipelines import training
    from keras_recurrent.pipelines.board import Board

    class BlankBoard(Board):
        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "Board", BlankBoard)
        yield


@pytest.fixture
def seed() -> int:
    """Seed Python, NumPy and TensorFlow; return the seed."""
    import keras

    keras.utils.set_random_seed(7)
    return 7


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers have; one at a time writes to it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    return folder


@pytest.fixture(scope="session")
def letters(shared: Path) -> Path:
    """A folder with a tiny task, and a recipe for it.

    The names of letters, backwards: `abca` becomes `A C B A`. Some sources
    of the test split have two references, only one of them right.
    """
    with FileLock(shared / "letters.lock"):
        if not (shared / "letters").exists():
            _write_letters(shared / "letters")
    return shared / "letters"


def _write_letters(folder: Path) -> None:
    folder.mkdir()
    draw = random.Random(1)
    words = sorted(
        {
            "".join(draw.choices("abcd", k=draw.randint(1, 6)))
            for _ in range(999)
        }
    )
    draw.shuffle(words)
    for split, start, stop in (
        ("train", 0, 320),
        ("validation", 320, 360),
        ("test", 360, 400),
    ):
        lines = []
        for number, word in enumerate(words[start:stop]):
            lines.append(f"{word}\t{' '.join(reversed(word.upper()))}\n")
            if split == "test" and number % 4 == 0:
                lines.append(f"{word}\tA A A A A A\n")
        (folder / f"{split}.tsv").write_text("".join(lines))
    (folder / "letters.yaml").write_text(_LETTERS)


_LETTERS = """
data:
  files: {train: train.tsv, validation: validation.tsv, test: test.tsv}
source: {split: characters, case: lower}
target: {split: words}
model: {cell: gru, units: 24, embedding_dim: 12}
training: {epochs: 3, batch_size: 16, learning_rate: 0.01}
decoding: {beam_width: 3, max_length: 8}
evaluation: {token: letter, sequence: word}
tuning:
  max_trials: 4
  steps_per_epoch: 3
  space: {cell: [lstm, gru], units: [4, 8]}
"""


@pytest.fixture(scope="session")
def trained(
    shared: Path, letters: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a finished run of the tiny task; not to be changed.

    It is trained once. Each worker has a copy, as a run is for one process.
    """
    from keras_recurrent.pipelines.recipe import load_recipe
    from keras_recurrent.pipelines.run import Run
    from keras_recurrent.pipelines.training import train

    recipe = load_recipe(letters / "letters.yaml", ["training.epochs=20"])
    with FileLock(shared / "trained.lock"):
        run = Run.create(recipe, shared / "trained")
        train(run)
        assert len(run.history()) == 20
        own = tmp_path_factory.mktemp("runs") / "letters"
        shutil.copytree(run.folder, own)
    return own


@pytest.fixture
def service() -> Iterator[str]:
    """The address of a `tf.data` service with two workers."""
    import tensorflow as tf

    library = tf.data.experimental.service
    addresses = [f"localhost:{free_port()}" for _ in range(2)]
    dispatcher = library.DispatchServer(
        library.DispatcherConfig(worker_addresses=addresses)
    )
    workers = [
        library.WorkerServer(
            library.WorkerConfig(
                dispatcher_address=dispatcher.target.removeprefix("grpc://"),
                worker_address=address,
                port=int(address.partition(":")[2]),
            )
        )
        for address in addresses
    ]
    yield dispatcher.target
    del workers, dispatcher


@pytest.fixture(scope="session")
def barely_trained(
    letters: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of another run, of one epoch; not to be changed.

    Its model is another one, with the vocabularies of `trained`.
    """
    from keras_recurrent.pipelines.recipe import load_recipe
    from keras_recurrent.pipelines.run import Run
    from keras_recurrent.pipelines.training import train

    settings = ["cell=simple_rnn", "units=16", "attention=luong"]
    recipe = load_recipe(
        letters / "letters.yaml",
        ["training.epochs=1", *(f"model.{text}" for text in settings)],
    )
    run = Run.create(recipe, tmp_path_factory.mktemp("runs") / "other")
    train(run)
    return run.folder
