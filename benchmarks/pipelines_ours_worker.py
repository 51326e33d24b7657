"""Batches by `keras_recurrent.pipelines`."""

from pathlib import Path

from pipelines_python_worker import BATCH, learned
from worker import serve

from keras_recurrent.pipelines import Vocabulary, load_pairs, training_batches
from keras_recurrent.pipelines.recipe import DataConfig


def vocabulary_of(folder: str) -> Vocabulary:
    """Joint subwords, the same for all contestants."""
    pieces = learned(folder)
    tokens = [pieces.id_to_piece(i) for i in range(1, len(pieces))]
    return Vocabulary(tokens, "subwords")


def load(folder: str, vocabulary: Vocabulary):
    """Read and encode what there is; return the batches."""
    sides = {
        "source": Path(folder) / "train.en",
        "target": Path(folder) / "train.de",
    }
    files = dict.fromkeys(("train", "validation", "test"), sides)
    data = DataConfig.model_validate({"files": files})
    pairs = load_pairs(data, "train")
    return training_batches(pairs, vocabulary, vocabulary, BATCH, cache=True)


def make(folder: str):
    vocabulary = vocabulary_of(folder)
    again = load(folder, vocabulary)

    def first() -> None:
        for _ in load(folder, vocabulary):
            pass

    def later() -> None:
        for _ in again:
            pass

    return {"first": first, "later": later}


if __name__ == "__main__":
    serve(make)
