"""What TensorBoard gets: read as it reads it, and decoded another way."""

import html
import re

import numpy as np
import pytest
import tensorflow as tf
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)
from tensorboard.plugins.text.text_plugin import text_array_to_html

from keras_recurrent.pipelines import board
from keras_recurrent.pipelines.board import Board, as_image, as_markdown
from keras_recurrent.pipelines.building import build_model
from keras_recurrent.pipelines.predictor import load_predictor
from keras_recurrent.pipelines.run import Run
from keras_recurrent.pipelines.sources import load_pairs
from keras_recurrent.pipelines.vocabularies import load_vocabularies


def cells_of(shown):
    """What a page of TensorBoard has in its table, cell by cell."""
    found = re.findall(r"<td>(.*?)</td>", shown, re.DOTALL)
    texts = (html.unescape(re.sub("<[^>]*>", "", one)) for one in found)
    return [text.strip() for text in texts]


def written(folder):
    events = EventAccumulator(str(folder), {"tensors": 0}).Reload()
    return {
        tag: [(e.step, tf.make_ndarray(e.tensor_proto)) for e in found]
        for tag in events.Tags()["tensors"]
        if (found := events.Tensors(tag))
    }


@pytest.fixture
def made(trained, tmp_path, monkeypatch):
    """A board of a trained model, and what it has drawn of three quick epochs.

    The second one ends too soon after the first to be drawn.
    """
    run = Run.open(trained)
    predictor = load_predictor(run)
    drawn = []

    def spy(draw):
        def spied(*args):
            drawn.append((draw.__name__, args))
            return draw(*args)

        return spied

    for draw in (board.attention_figure, board.gates_figure):
        monkeypatch.setattr(board, draw.__name__, spy(draw))
    pairs = load_pairs(run.recipe.data, "validation")
    vocabularies = load_vocabularies(run)
    other = Run(tmp_path, run.recipe)
    one = Board(other, vocabularies, pairs)
    one.set_model(predictor.model)
    one.set_params({"epochs": 3})
    one.on_train_begin()
    for epoch in range(3):
        one.on_epoch_end(epoch)
    one.on_train_end()
    return predictor, written(other.events / "examples"), drawn


def test_texts_stand_beside_their_references(made, letters):
    predictor, events, _ = made
    lines = (letters / "validation.tsv").read_text().splitlines()[:8]
    pairs = [line.split("\t") for line in lines]
    hypotheses = predictor([source for source, _ in pairs])["predictions"]
    expected = ["source", "reference", "hypothesis"]
    for pair, hypothesis in zip(pairs, hypotheses.numpy(), strict=True):
        expected += [*pair, hypothesis.decode()]
    assert [step for step, _ in events["examples"]] == [0, 2]
    for _, table in events["examples"]:
        assert cells_of(text_array_to_html(table, True)) == expected


def test_the_next_epoch_is_shown_when_some_time_has_gone_by(
    trained, tmp_path, monkeypatch
):
    run = Run.open(trained)
    one = Board(
        Run(tmp_path, run.recipe),
        load_vocabularies(run),
        load_pairs(run.recipe.data, "validation"),
    )
    one.set_model(load_predictor(run).model)
    one.set_params({"epochs": 9})
    one.on_train_begin()
    seconds = [100, 119, 120, 121, 141]
    monkeypatch.setattr(board.time, "monotonic", iter(seconds).__next__)
    for epoch, _ in enumerate(seconds):
        one.on_epoch_end(epoch)
    one.on_train_end()
    examples = written(tmp_path / "events" / "examples")["examples"]
    assert [step for step, _ in examples] == [0, 2, 4]


def test_pictures_show_where_the_model_looked(made, letters):
    predictor, events, drawn = made
    lines = (letters / "validation.tsv").read_text().splitlines()[:4]
    sources = [line.split("\t")[0] for line in lines]
    # All at once, which pads, and in a graph.
    best = predictor(sources)
    figures = [args for name, args in drawn if name == "attention_figure"]
    assert len(figures) == 8  # of two epochs
    for row, (tokens, predicted, weights) in enumerate(figures[:4]):
        assert tokens == [list(sources[row])]
        text = best["predictions"][row].numpy().decode()
        assert predicted == [text.split()]
        size = len(predicted[0]), len(sources[row])
        np.testing.assert_allclose(
            weights[0][: size[0], : size[1]],
            best["alignments"][row, : size[0], : size[1]],
            atol=1e-4,
        )
        for _, (width, height, image) in events[f"attention/{row + 1}"]:
            shape = tf.io.decode_png(image).shape
            assert shape == (int(height), int(width), 4)


def test_gates_are_those_of_the_first_layer(made):
    predictor, events, drawn = made
    tokens, gates = next(a for name, a in drawn if name == "gates_figure")
    assert set(gates) == {"update", "reset", "candidate"}
    assert len(events["gates"]) == 2
    # At the first step the state is 0: what is left are inputs and biases.
    encoder = predictor.model.encoder
    cell = encoder.forward_layers[0].cell
    ids = predictor.source.encode(["".join(tokens)]).to_tensor()
    x = encoder.embedding(ids)[0, 0].numpy()
    z, r, h = np.split(x @ cell.kernel.numpy() + cell.bias.numpy()[0], 3)
    a, b, c = np.split(cell.bias.numpy()[1], 3)
    update, reset = (1 / (1 + np.exp(-v)) for v in (z + a, r + b))
    for name, expected in (
        ("update", update),
        ("reset", reset),
        ("candidate", np.tanh(h + reset * c)),
    ):
        assert gates[name].shape == (len(tokens), cell.units)
        np.testing.assert_allclose(gates[name][0], expected, atol=1e-5)


@pytest.mark.parametrize(("cell", "has_gates"), [("lru", False), ("gru", True)])
def test_a_cell_without_gates_has_no_picture_of_them(
    trained, tmp_path, cell, has_gates
):
    run = Run.open(trained)
    vocabularies = load_vocabularies(run)
    config = run.recipe.model.model_copy(
        update={"cell": cell, "units": 2, "dtype": "mixed_float16"}
    )
    # Texts of which nothing is left, and some longer than what is drawn.
    texts = {"source": ["a" * 99, "", "b"], "target": ["A", "B", ""]}
    one = Board(
        Run(tmp_path, run.recipe),
        vocabularies,
        tf.data.Dataset.from_tensor_slices(texts),
    )
    one.set_model(build_model(config, *map(len, vocabularies)))
    one.set_params({"epochs": 1})
    one.on_train_begin()
    one.on_epoch_end(0)
    one.on_train_end()
    tags = {"examples", "attention/1", "attention/3"}
    found = written(tmp_path / "events" / "examples")
    assert set(found) == (tags | {"gates"} if has_gates else tags)


def test_texts_are_shown_as_they_stand():
    texts = [r"*a* _b_ <i>c</i> & [d](e) `f` g\h ~ |", "# 1", "1. x", "- y"]
    texts += ["&amp;", "> z", "+ !", "___", "a\\*b"]
    table = np.array([[as_markdown(text).encode()] for text in texts], object)
    assert cells_of(text_array_to_html(table, True)) == texts


def test_letters_that_the_font_lacks_are_no_warning():
    figure = Figure(figsize=(1, 2))
    figure.subplots().set_title("한글")
    assert as_image(figure).shape == (1, 160, 80, 4)
