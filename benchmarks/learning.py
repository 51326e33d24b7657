"""Does every default learn? Ours beside a textbook model in plain Keras.

    make bench-learning MULTI30K=folder

The first 5,000 sentence pairs of Multi30k (English to German, `train.en`,
`train.de`, `val.en`, `val.de`) as words, as BPE of several sizes (learned by
sentencepiece from all of the training text), and as characters. Each model
is trained on them for 4 epochs of batches of 64 by Adam, with gradients clipped
to norm 1, at two learning rates; what counts is its loss on the validation
pairs. All of ours have 128 units and embeddings of 128, and differ from the
defaults in what their name says. The textbook model has the same sizes: a
bidirectional GRU, a GRU that starts from its final states,
`keras.layers.AdditiveAttention`, and a linear readout.

Then memory over 2,000 steps: an input that is nearly always zero sets a value,
which is to be put out until the next one comes.

Each result is written to a file as soon as it is there, and what stands in
that file is not run again: an interrupted benchmark goes on.

    python benchmarks/learning.py MULTI30K [--results FILE] [--tasks words,500]
        [--models PATTERN]
"""

import argparse
import fnmatch
import io
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import sentencepiece
import tensorflow as tf

from keras_recurrent.layers import RNN
from keras_recurrent.layers.attention import ATTENTIONS
from keras_recurrent.layers.cells import CELLS, get_cell
from keras_recurrent.models import (
    Decoder,
    Encoder,
    MaskedCrossentropy,
    Seq2Seq,
)
from keras_recurrent.pipelines import Vocabulary, training_batches

PAIRS, EPOCHS, BATCH, UNITS = 5000, 4, 64, 128
RATES = (1e-3, 3e-4)
TEXTBOOK = "textbook"
TASKS = ("words", "500", "2000", "10000", "characters")
MEMORY = "2,000 steps"


def variants() -> dict[str, dict[str, Any]]:
    """What differs from the defaults, by name."""
    return {
        "defaults": {},
        **{
            f"{name} attention": {"attention": name}
            for name in ATTENTIONS
            if name != "bahdanau"
        },
        "new_state asks": {"query": "new_state"},
        "input feeding": {"input_feeding": True},
        "new_state asks, input feeding": {
            "query": "new_state",
            "input_feeding": True,
        },
        "tied embeddings": {"tie_embeddings": True},
        "conditional": {"query": "conditional"},
        "deep output": {"deep_output": True},
        "conditional, deep output": {
            "query": "conditional",
            "deep_output": True,
        },
        "2 layers": {"num_layers": 2},
        "3 layers": {"num_layers": 3},
        "lstm, 3 layers": {"cell": "lstm", "num_layers": 3},
        "simple_rnn, 3 layers": {"cell": "simple_rnn", "num_layers": 3},
        "mixed_bfloat16": {"dtype": "mixed_bfloat16"},
        "mixed_float16": {"dtype": "mixed_float16"},
        **{f"cell {name}": {"cell": name} for name in CELLS if name != "gru"},
    }


class Textbook(keras.Model):
    """The model of many tutorials, of layers of Keras alone."""

    def __init__(self, source_size: int, target_size: int) -> None:
        super().__init__()
        layers = keras.layers
        self.source_embedding = layers.Embedding(source_size, UNITS)
        self.target_embedding = layers.Embedding(target_size, UNITS)
        self.encoder = layers.Bidirectional(
            layers.GRU(UNITS, return_sequences=True, return_state=True)
        )
        self.memory = layers.Dense(UNITS)
        self.bridge = layers.Dense(UNITS, activation="tanh")
        self.decoder = layers.GRU(UNITS, return_sequences=True)
        self.attention = layers.AdditiveAttention()
        self.readout = layers.Dense(target_size)

    def call(self, inputs: Any) -> Any:
        mask = inputs["source"] != 0
        memory, *states = self.encoder(
            self.source_embedding(inputs["source"]), mask=mask
        )
        outputs = self.decoder(
            self.target_embedding(inputs["target"]),
            initial_state=self.bridge(tf.concat(states, -1)),
        )
        contexts = self.attention(
            [outputs, self.memory(memory)], mask=[None, mask]
        )
        return self.readout(tf.concat([outputs, contexts], -1))


def our_model(
    source_size: int, target_size: int, dtype: Any = None, **options: Any
) -> Seq2Seq:
    """`Seq2Seq` with these options of the decoder, and likewise encoder."""
    shared = {
        key: options[key] for key in ("cell", "num_layers") if key in options
    }
    return Seq2Seq(
        Encoder(source_size, UNITS, UNITS, dtype=dtype, **shared),
        Decoder(target_size, UNITS, UNITS, dtype=dtype, **options),
        dtype=dtype,
    )


def load(folder: Path, task: str) -> tuple[Any, Any, list[int]]:
    """Return batches of training and validation, and vocabulary sizes."""
    texts: dict[str, list[list[str]]] = {"train": [], "val": []}
    for language in ("en", "de"):
        lines = {
            split: (folder / f"{split}.{language}")
            .read_text(encoding="utf-8")
            .splitlines()
            for split in texts
        }
        cut = pieces_of(lines["train"], int(task)) if task.isdigit() else str
        for split, found in lines.items():
            texts[split].append([cut(line) for line in found[:PAIRS]])
    split = "characters" if task == "characters" else "words"
    vocabularies = [Vocabulary.build(t, split) for t in texts["train"]]
    train, validation = (
        training_batches(
            tf.data.Dataset.from_tensor_slices(
                dict(zip(("source", "target"), texts[name], strict=True))
            ),
            *vocabularies,
            BATCH,
            shuffle=name == "train",
        )
        for name in texts
    )
    return train, validation.cache(), [len(v) for v in vocabularies]


def pieces_of(lines: list[str], size: int) -> Callable[[str], str]:
    """Learn BPE; return what puts spaces between the pieces of a line."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type="bpe",
        vocab_size=size,
        character_coverage=1.0,
        minloglevel=2,
    )
    bpe = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return lambda line: " ".join(bpe.encode(line, out_type=str))


def train(model: Any, batches: Any, validation: Any, rate: float) -> list:
    """Return the training losses by epoch, and the validation loss."""
    model.compile(
        keras.optimizers.Adam(rate, global_clipnorm=1.0),
        MaskedCrossentropy(),
    )
    fitted = model.fit(batches, epochs=EPOCHS, shuffle=False, verbose=0)
    return [*fitted.history["loss"], validation_loss(model, validation)]


def validation_loss(model: Any, batches: Any) -> float:
    """The mean over batches by their sentences, as Keras weighs all of them.

    Ours would weigh them by their tokens, which the textbook model cannot.
    """
    total = rows = 0
    for inputs, labels in batches:
        model.reset_metrics()
        total += len(labels) * model.test_on_batch(inputs, labels)
        rows += len(labels)
    return total / rows


def memory_task(batches: int = 100, rows: int = 16, steps: int = 2000) -> Any:
    """Inputs and outputs of a memory that one step in 100 sets."""
    rng = np.random.default_rng(0)
    size = (batches * rows, steps, 1)
    x = rng.choice([-1.0, 1.0], size) * (rng.random(size) < 0.01)
    x[:, 0] = rng.choice([-1.0, 1.0], size[0])[:, None]
    y = x.copy()
    for t in range(1, steps):
        y[:, t] += (x[:, t] == 0) * y[:, t - 1]
    x, y = x.astype("float32"), y.astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(rows)


def train_memory(layer: Any, batches: Any) -> list[float]:
    model = keras.Sequential(
        [keras.Input((None, 1)), layer, keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(3e-3, global_clipnorm=1.0), "mse")
    fitted = model.fit(batches, epochs=1, shuffle=False, verbose=0)
    return [*fitted.history["loss"], model.evaluate(batches.take(4), verbose=0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("multi30k", type=Path)
    parser.add_argument(
        "--results", type=Path, default=Path(".bench/learning.jsonl")
    )
    parser.add_argument("--tasks", default=",".join([*TASKS, "memory"]))
    parser.add_argument("--models", default="*")
    arguments = parser.parse_args()
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    results = Results(arguments.results)
    tasks = arguments.tasks.split(",")

    def wanted(names: Iterable[str]) -> list[str]:
        return fnmatch.filter(names, arguments.models)

    for task in tasks:
        if task == "memory":
            measure_memory(results, wanted)
            continue
        data = None
        for name in [TEXTBOOK, *wanted(variants())]:
            for rate in RATES:
                if results.has(task, rate, name):
                    continue
                data = data or load(arguments.multi30k, task)
                batches, validation, sizes = data
                # Each alone decides what it starts from.
                keras.backend.clear_session()
                keras.utils.set_random_seed(1)
                model = (
                    Textbook(*sizes)
                    if name == TEXTBOOK
                    else our_model(*sizes, **variants()[name])
                )
                began = time.perf_counter()
                losses = train(model, batches, validation, rate)
                seconds = time.perf_counter() - began
                results.add(task, rate, name, losses, seconds)
    print(results.table())


def measure_memory(
    results: "Results", wanted: Callable[[Iterable[str]], list[str]]
) -> None:
    batches = memory_task()
    for name in ["keras gru", "keras lstm", *wanted(CELLS)]:
        if results.has(MEMORY, 3e-3, name):
            continue
        keras.backend.clear_session()
        keras.utils.set_random_seed(1)
        if name.startswith("keras"):
            kind = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}
            layer = kind[name.split()[1]](32, return_sequences=True)
        else:
            layer = RNN(get_cell(name)(32), return_sequences=True)
        began = time.perf_counter()
        losses = train_memory(layer, batches)
        results.add(MEMORY, 3e-3, name, losses, time.perf_counter() - began)


class Results:
    """What has been measured, in a file of one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[tuple[str, float, str], dict[str, Any]] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                self._keep(json.loads(line))

    def has(self, task: str, rate: float, name: str) -> bool:
        return (task, rate, name) in self.found

    def add(
        self, task: str, rate: float, name: str, losses: list, seconds: float
    ) -> None:
        result = {
            "task": task,
            "rate": rate,
            "model": name,
            "losses": [round(float(loss), 4) for loss in losses],
            "seconds": round(seconds, 1),
        }
        with self.path.open("a") as file:
            file.write(json.dumps(result) + "\n")
        self._keep(result)
        print(json.dumps(result), flush=True)

    def table(self) -> str:
        """The last losses in Markdown; those above the textbook's marked."""
        columns = [
            (task, rate)
            for task in TASKS
            for rate in RATES
            if self.has(task, rate, TEXTBOOK)
        ]
        lines = []
        if columns:
            lines = [
                "| model | "
                + " | ".join(f"{task}, {rate:g}" for task, rate in columns)
                + " |",
                "| --- |" + " ---: |" * len(columns),
            ]
        for name in [TEXTBOOK, *variants()]:
            cells = [self._cell(task, rate, name) for task, rate in columns]
            if any(cells):
                lines.append(f"| {name} | " + " | ".join(cells) + " |")
        memory = [key for key in self.found if key[0] == MEMORY]
        if memory:
            lines += ["", "| cell | mean squared error |", "| --- | ---: |"]
        for key in memory:
            lines.append(f"| {key[2]} | {self.found[key]['losses'][-1]:.3f} |")
        return "\n".join(lines)

    def _keep(self, result: dict[str, Any]) -> None:
        key = (result["task"], result["rate"], result["model"])
        self.found[key] = result

    def _cell(self, task: str, rate: float, name: str) -> str:
        if not self.has(task, rate, name):
            return ""
        loss, textbook = (
            self.found[task, rate, who]["losses"][-1]
            for who in (name, TEXTBOOK)
        )
        worse = name != TEXTBOOK and not loss < textbook
        return f"**{loss:.2f}**" if worse else f"{loss:.2f}"


if __name__ == "__main__":
    main()
