"""Pictures of a run: what attention looked at and how training went."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def attention_figure(
    sources: Sequence[Sequence[str]],
    predictions: Sequence[Sequence[str]],
    alignments: Sequence[np.ndarray],
) -> Figure:
    """Draw a heat map per sentence, source to the right, prediction down.

    Args:
        sources: the tokens of each source.
        predictions: the tokens of each prediction.
        alignments: for each sentence (L, S), with at least as many rows as
            the prediction and columns as the source have tokens.

    Raises:
        ValueError: an alignment is smaller than its tokens.
    """
    columns = max(map(len, sources), default=1)
    rows = max(map(len, predictions), default=1)
    figure = Figure(
        figsize=(len(sources) * (0.3 * columns + 0.8), 0.3 * rows + 1.2),
        dpi=150,
        layout="constrained",
    )
    panels = figure.subplots(
        1, len(sources), squeeze=False, width_ratios=list(map(len, sources))
    )[0]
    for axes, source, prediction, weights in zip(
        panels, sources, predictions, alignments, strict=True
    ):
        # Of an empty prediction, the row of its end is drawn.
        shape = (max(len(prediction), 1), len(source))
        if np.less(weights.shape, shape).any():
            raise ValueError(
                f"an alignment must be at least {shape} for its tokens. "
                f"Received: {weights.shape}"
            )
        image = axes.imshow(
            weights[: shape[0], : shape[1]], cmap="Blues", vmin=0, vmax=1
        )
        axes.set_xticks(range(shape[1]), source, rotation=_rotation(source))
        axes.set_yticks(range(len(prediction)), prediction)
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
    figure.colorbar(image, ax=list(panels), label="attention", shrink=0.6)
    return figure


def training_figure(history: Sequence[dict[str, Any]]) -> Figure:
    """Draw loss and accuracy by epoch, of training and of validation.

    Args:
        history: the metrics of each epoch, as in `metrics.jsonl`.
    """
    figure = Figure(figsize=(9, 3.5), dpi=150, layout="constrained")
    epochs = [epoch["epoch"] for epoch in history]
    for axes, metric in zip(
        figure.subplots(1, 2), ("loss", "accuracy"), strict=True
    ):
        for name, label in (
            (metric, "training"),
            (f"val_{metric}", "validation"),
        ):
            values = [epoch[name] for epoch in history]
            axes.plot(epochs, values, marker="o", label=label)
        axes.set(xlabel="epoch", ylabel=metric)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def lengths_figure(lengths: np.ndarray) -> Figure:
    """Draw how many sources and targets have how many tokens.

    Args:
        lengths: (N, 2).
    """
    figure = Figure(figsize=(7, 3.5), dpi=150, layout="constrained")
    axes = figure.subplots()
    # A bar for each length, up to what 99 % have; the rest is in the last.
    longest = max(1, int(np.quantile(lengths, 0.99, method="inverted_cdf")))
    bins = (np.arange(longest + 2) - 0.5).tolist()
    for side, label in enumerate(("source", "target")):
        shown = np.minimum(lengths[:, side], longest)
        axes.hist(shown, bins, alpha=0.6, label=label)
    axes.set(xlabel=f"tokens ({longest}: or more)", ylabel="pairs")
    axes.legend()
    return figure


def gates_figure(
    tokens: Sequence[str], gates: Mapping[str, np.ndarray]
) -> Figure:
    """Draw what each gate of a recurrent layer did, over one sentence.

    Args:
        tokens: the T tokens of the sentence.
        gates: for each gate (T, U), one row of what `RNN.gates` returns.

    Raises:
        ValueError: a gate has not as many time steps as there are tokens.
    """
    figure = Figure(
        figsize=(0.35 * len(tokens) + 2.5, 1.4 * len(gates) + 0.6),
        layout="constrained",
    )
    panels = figure.subplots(len(gates), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (name, activations) in zip(panels, gates.items(), strict=True):
        if len(activations) != len(tokens):
            raise ValueError(
                f"the gate {name!r} must have {len(tokens)} time steps. "
                f"Received: {len(activations)}"
            )
        # Gates lie in [0, 1]; candidates and states in [-1, 1].
        signed = np.min(activations) < 0
        image = axes.imshow(
            np.transpose(activations),
            aspect="auto",
            interpolation="nearest",  # one field for each unit
            cmap="RdBu" if signed else "Blues",
            vmin=-1 if signed else 0,
            vmax=1,
        )
        axes.set(ylabel=name, yticks=[])
        figure.colorbar(image, ax=axes)
    panels[-1].set_xticks(
        range(len(tokens)), tokens, rotation=_rotation(tokens)
    )
    return figure


def _rotation(tokens: Sequence[str]) -> int:
    """Beside each other there is room for a letter or two."""
    return 90 if max(map(len, tokens), default=0) > 2 else 0
