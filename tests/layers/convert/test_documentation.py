"""The examples of the page on weights run."""

import re
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[3]


def test_examples(tmp_path, monkeypatch, seed):
    page = (ROOT / "docs" / "bring-your-weights.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    # What the examples for other environments would have written.
    for name, golden in (
        ("weights", "torch_lstm_bidirectional"),
        ("addons", "layer_norm_lstm_cell"),
    ):
        arrays = np.load(ROOT / "tests" / "golden" / f"{golden}.npz")
        weights = {
            key.removeprefix("w/"): arrays[key]
            for key in arrays
            if key.startswith("w/")
        }
        np.savez(tmp_path / f"{name}.npz", **weights)
    monkeypatch.chdir(tmp_path)
    names = {}
    for example in examples:
        if not re.search("import (torch|tensorflow_addons)", example):
            exec(example, names)
    back = np.load(tmp_path / "back.npz")
    assert back.keys() == np.load(tmp_path / "weights.npz").keys()
    assert names["layer"].cell.built
