"""Figures: the confusion matrix, and the course of emotions over a recording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from speechkit.base.figures import GRID, TEXT, dress, panels, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from speechkit.emotion.windows import Prediction

# One hue per class, told apart also in grey and by people who do not see red and green alike.
COLOURS = (
    "#8c8c8c", "#7fb7be", "#e6b33d", "#3d6f8e", "#c8553d", "#7a5c99", "#6b8e4e", "#e08fb0",
    "#b5651d", "#2b2b2b",
)  # fmt: skip


def draw_confusion(
    matrix: np.ndarray, classes: Sequence[str], title: str = "", runs: int = 1
) -> bytes:
    """PNG of counts (left) and shares of each row (right).

    Args:
        matrix: counts ``[C, C]``, true classes in rows.
        classes: C names.
        title: above both.
        runs: over how many seeds the counts were summed, for the left heading.
    """
    size = 1.6 + 0.42 * len(classes)
    figure, axes = panels(2 * size, size, 2, sharey=True)
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    many = "clips" if runs == 1 else f"clips, {runs} seeds together"
    _panel(axes[0], matrix, shares, classes, many, "{:g}")
    _panel(axes[1], shares, shares, classes, "share of the true class", "{:.2f}")
    axes[0].set_ylabel("true", color=TEXT)
    if title:
        figure.suptitle(title, fontsize=11, color=TEXT)
    return png(figure)


def _panel(
    axis: Axes,
    values: np.ndarray,
    shares: np.ndarray,
    classes: Sequence[str],
    title: str,
    form: str,
) -> None:
    axis.imshow(shares, cmap="Oranges", vmin=0, vmax=1, aspect="equal")
    places = range(len(classes))
    axis.set_xticks(places, classes, rotation=45, ha="right", rotation_mode="anchor")
    axis.set_yticks(places, classes)
    dress(axis, title, x="predicted", left=False)
    axis.tick_params(length=0, labelsize=8.5)
    for i in places:
        for j in places:
            if values[i, j]:
                shade = "white" if shares[i, j] > 0.55 else TEXT
                shown = form.format(values[i, j]).replace("0.", ".", 1)
                axis.text(j, i, shown, ha="center", va="center", fontsize=8, color=shade)


def draw_timeline(made: Prediction) -> Figure:
    """Probabilities stacked over time; white where the recording is silent.

    Args:
        made: of one recording. Where windows overlap, each counts around its middle.
    """
    figure, (axis,) = panels(8.0, 2.6)
    edges = _edges(made)
    table = np.stack(
        [
            np.zeros(len(made.classes)) if w.probabilities is None else w.probabilities
            for w in made.windows
        ]
    )
    lower = np.zeros(len(table))
    for number, name in enumerate(made.classes):
        axis.bar(
            edges[:-1],
            table[:, number],
            np.diff(edges),
            bottom=lower,
            align="edge",
            color=COLOURS[number % len(COLOURS)],
            linewidth=0,
            label=name,
        )
        lower = lower + table[:, number]
    axis.set_xlim(edges[0], edges[-1])
    axis.set_ylim(0, 1)
    axis.set_title(f"{made.input.name}: {made.label or 'silent'}", loc="left", color=TEXT)
    axis.grid(axis="y", color=GRID)
    axis.set_axisbelow(True)
    dress(axis, x="time (s)", y="probability")
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    return figure


def _edges(made: Prediction) -> np.ndarray:
    """Borders ``[N + 1]``: half-way between the middles of neighbouring windows."""
    middles = np.array([(w.start + w.end) / 2 for w in made.windows])
    inner = (middles[1:] + middles[:-1]) / 2
    return np.concatenate([[0.0], inner, [made.seconds]])
