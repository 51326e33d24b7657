"""Batches by Joey NMT's own loading, with sentencepiece."""

import logging
import tempfile
from pathlib import Path

from joeynmt.data import load_data
from joeynmt_worker import SPECIAL
from pipelines_python_worker import BATCH, learned
from worker import serve


def make(folder: str):
    logging.disable(logging.CRITICAL)
    pieces = learned(folder)
    # Both are read when the data is loaded.
    files = Path(tempfile.mkdtemp())
    (files / "model").write_bytes(pieces.serialized_model_proto())
    tokens = [pieces.id_to_piece(i) for i in range(1, len(pieces))]
    (files / "vocabulary").write_text("\n".join(tokens) + "\n")
    side = {
        "level": "bpe",
        "tokenizer_type": "sentencepiece",
        "tokenizer_cfg": {
            "model_file": str(files / "model"),
            "model_type": "bpe",
        },
        "voc_file": str(files / "vocabulary"),
        "max_length": -1,
    }
    config = {
        "train": str(Path(folder) / "train"),
        "dataset_type": "plain",
        "src": side | {"lang": "en"},
        "trg": side | {"lang": "de"},
        "special_symbols": SPECIAL,
    }

    def load():
        return load_data(config, datasets=["train"])[2]

    loaded = load()

    def epoch(data) -> None:
        for _ in data.make_iter(BATCH, shuffle=True):
            pass

    return {
        "first": lambda: epoch(load()),
        "later": lambda: epoch(loaded),
    }


if __name__ == "__main__":
    serve(make)
