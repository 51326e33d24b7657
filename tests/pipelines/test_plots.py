"""Pictures show the numbers they are given."""

import numpy as np
import pytest

from keras_recurrent.pipelines.plots import (
    attention_figure,
    gates_figure,
    lengths_figure,
    training_figure,
)


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def test_attention_has_a_panel_per_sentence():
    weights = np.arange(24, dtype="float32").reshape(2, 3, 4) / 24
    figure = attention_figure(
        [["a", "b", "c"], ["d"]], [["X", "Y"], ["Z"]], weights
    )
    first, second, bar = figure.axes
    assert labels(first.get_xticklabels()) == ["a", "b", "c"]
    assert labels(first.get_yticklabels()) == ["X", "Y"]
    np.testing.assert_array_equal(
        first.images[0].get_array(), weights[0, :2, :3]
    )
    np.testing.assert_array_equal(
        second.images[0].get_array(), weights[1, :1, :1]
    )
    assert bar.get_ylabel() == "attention"


def test_an_empty_prediction_is_drawn(tmp_path):
    figure = attention_figure([["a"]], [[]], np.zeros((1, 5, 1)))
    figure.savefig(tmp_path / "empty.png")
    written = (tmp_path / "empty.png").read_bytes()
    assert written.startswith(b"\x89PNG")


def test_too_small_an_alignment_is_an_error():
    with pytest.raises(ValueError, match=r"at least \(1, 3\).*\(2, 2\)"):
        attention_figure([["a", "b", "c"]], [["X"]], np.zeros((1, 2, 2)))


def test_training_curves():
    history = [
        {
            "epoch": epoch,
            "loss": 3.0 / epoch,
            "val_loss": 4.0 / epoch,
            "accuracy": 0.2 * epoch,
            "val_accuracy": 0.1 * epoch,
        }
        for epoch in (1, 2, 3)
    ]
    loss, accuracy = training_figure(history).axes
    assert [loss.get_ylabel(), accuracy.get_ylabel()] == ["loss", "accuracy"]
    for axes, names in (
        (loss, ("loss", "val_loss")),
        (accuracy, ("accuracy", "val_accuracy")),
    ):
        assert labels(axes.get_legend().get_texts()) == [
            "training",
            "validation",
        ]
        for line, name in zip(axes.lines, names, strict=True):
            assert line.get_xdata().tolist() == [1, 2, 3]
            expected = [epoch[name] for epoch in history]
            assert line.get_ydata().tolist() == expected


def test_gates_have_a_panel_each():
    gates = {
        "forget": np.linspace(0, 1, 6).reshape(2, 3),
        "candidate": np.linspace(-1, 1, 6).reshape(2, 3),
    }
    figure = gates_figure(["a", "b"], gates)
    panels = [axes for axes in figure.axes if axes.images]
    for axes, (name, values) in zip(panels, gates.items(), strict=False):
        assert axes.get_ylabel() == name
        np.testing.assert_allclose(axes.images[0].get_array(), values.T)
    assert panels[0].images[0].get_clim() == (0, 1)
    assert panels[1].images[0].get_clim() == (-1, 1)
    assert labels(panels[1].get_xticklabels()) == ["a", "b"]


def test_a_gate_of_another_length_is_an_error():
    with pytest.raises(ValueError, match="'forget' must have 2.*Received: 3"):
        gates_figure(["a", "b"], {"forget": np.zeros((3, 4))})


def test_words_are_turned_where_letters_are_not():
    weights = np.zeros((2, 1, 2))
    figure = attention_figure([["a", "b"], ["a", "word"]], [["X"]] * 2, weights)
    letters, words = (
        [label.get_rotation() for label in axes.get_xticklabels()]
        for axes in figure.axes[:2]
    )
    assert (letters, words) == ([0, 0], [90, 90])


def test_lengths_have_a_bar_each_and_the_longest_share_one():
    lengths = np.array([[1, 1], [1, 2], [2, 2]] * 100 + [[90, 3]])
    figure = lengths_figure(lengths)
    (axes,) = figure.axes
    source, target = (bars.datavalues.tolist() for bars in axes.containers)
    assert source == [0, 200, 101]
    assert target == [0, 100, 201]
    assert axes.get_xlabel() == "tokens (2: or more)"
