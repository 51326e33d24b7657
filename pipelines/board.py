"""What TensorBoard shows of a training besides its numbers."""

import html
import math
import re
import time
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_recurrent.pipelines.eagerly import eagerly
from keras_recurrent.pipelines.moving_average import averages_in_place
from keras_recurrent.pipelines.plots import attention_figure, gates_figure
from keras_recurrent.pipelines.predictor import Predictor
from keras_recurrent.pipelines.run import Run
from keras_recurrent.pipelines.vocabulary import Vocabulary

# A picture takes as long as decoding all of the examples.
_EXAMPLES, _PICTURES = 8, 4
# Of long sentences the beginning is drawn, of wide layers the first units.
_TOKENS, _UNITS = 50, 64
_DPI = 80
# Between the ends of two epochs that are shown. All of it takes 0.6 s, which is
# much of an epoch of some thousand words.
_SECONDS = 20


class Board(keras.callbacks.Callback):
    """Writes after an epoch what a few validation sources became.

    After the first and the last one, and of those between after one in every
    20 seconds. For TensorBoard, to `examples` in the events of the run:
    `examples`, the sources, references and hypotheses, decoded as the recipe
    says; of the first four `attention/1` to `attention/4`; and of the first
    `gates`, what the gates of the first layer of the encoder did as it read
    forward, unless its cell has none.

    Args:
        run: Where it goes; its recipe says how to decode.
        vocabularies: Of sources and of targets.
        pairs: Those for validation, of which the first are shown.
    """

    def __init__(
        self,
        run: Run,
        vocabularies: tuple[Vocabulary, Vocabulary],
        pairs: tf.data.Dataset,
    ) -> None:
        super().__init__()
        # TensorBoard follows one file in each folder, so this is another one.
        self.folder = run.events / "examples"
        self.decoding = run.recipe.decoding
        self.vocabularies = vocabularies
        texts = [
            (pair["source"].decode(), pair["target"].decode())
            for pair in pairs.take(_EXAMPLES).as_numpy_iterator()
        ]
        self.sources = [source for source, _ in texts]
        self.references = [reference for _, reference in texts]
        tokens = vocabularies[0].tokenize(self.sources)
        self.tokens = [[t.decode() for t in row] for row in tokens.to_list()]

    def on_train_begin(self, logs: Any = None) -> None:
        self.shown = -math.inf
        self.writer = tf.summary.create_file_writer(str(self.folder))
        self.predictor = Predictor(
            self.model, *self.vocabularies, self.decoding
        )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        now = time.monotonic()
        is_last = epoch + 1 == self.params["epochs"]
        if now - self.shown < _SECONDS and not is_last:
            return
        self.shown = now
        # As Keras's callback counts, and with what is validated and saved.
        with self.writer.as_default(epoch), averages_in_place(self.model):
            self._write_examples()
            self._write_gates()
        self.writer.flush()

    def on_train_end(self, logs: Any = None) -> None:
        self.writer.close()

    def _write_examples(self) -> None:
        with eagerly():
            best = self.predictor.best(tf.constant(self.sources))
        outputs = {name: value[:, 0].numpy() for name, value in best.items()}
        hypotheses = [text.decode() for text in outputs["predictions"]]
        table = [["**source**", "**reference**", "**hypothesis**"]]
        for texts in zip(
            self.sources, self.references, hypotheses, strict=True
        ):
            table.append([as_markdown(text) for text in texts])
        tf.summary.text("examples", table)
        for number, source in enumerate(self.tokens[:_PICTURES]):
            if not source:
                continue
            length = outputs["lengths"][number]
            predicted = outputs["tokens"][number, :length]
            figure = attention_figure(
                [source[:_TOKENS]],
                [[token.decode() for token in predicted[:_TOKENS]]],
                [outputs["alignments"][number]],
            )
            tf.summary.image(f"attention/{number + 1}", as_image(figure))

    def _write_gates(self) -> None:
        source, *_ = self.sources
        tokens = self.tokens[0][:_TOKENS]
        if not tokens:
            return
        encoder, vocabulary = self.model.encoder, self.vocabularies[0]
        ids, features = vocabulary.encode([source]).to_tensor(), None
        if encode_features := vocabulary.more.get("features"):
            features = encode_features([source]).to_tensor()[:, :_TOKENS]
        vectors = encoder.embed(ids[:, :_TOKENS], features)
        gates = {
            name: tf.cast(activations[0, :, :_UNITS], tf.float32).numpy()
            for name, activations in encoder.forward_layers[0]
            .gates(vectors)
            .items()
        }
        if gates:
            figure = gates_figure(tokens, gates)
            tf.summary.image("gates", as_image(figure))


def as_markdown(text: str) -> str:
    """Return what TensorBoard, which reads Markdown, shows as this text."""
    text = html.escape(text, quote=False)
    return re.sub(r"([\\`*_{}\[\]()#+\-.!])", r"\\\1", text)


def as_image(figure: Figure) -> np.ndarray:
    """Draw a figure.

    Returns:
        (1, height, width, 4), red, green, blue and alpha in bytes.
    """
    figure.set_dpi(_DPI)
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        # Of letters that the font lacks, boxes are drawn.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[np.newaxis]
