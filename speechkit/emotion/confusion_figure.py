"""The confusion matrix as a figure: counts, and shares of each true class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from speechkit.base import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(matrix: np.ndarray, classes: Sequence[str], title: str = "", runs: int = 1) -> bytes:
    """PNG of counts (left) and shares of each row (right).

    Args:
        matrix: counts ``[C, C]``, true classes in rows.
        classes: C names.
        title: above both.
        runs: over how many seeds the counts were summed, for the left heading.
    """
    size = 1.6 + 0.42 * len(classes)
    figure = figures.new_figure(2 * size, size)
    axes = figure.subplots(1, 2, sharey=True)
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    counted = "clips" if runs == 1 else f"clips, {runs} seeds together"
    _panel(axes[0], matrix, shares, classes, counted, "{:g}")
    _panel(axes[1], shares, shares, classes, "share of the true class", "{:.2f}")
    axes[0].set_ylabel("true", color=figures.TEXT)
    if title:
        figure.suptitle(title, fontsize=11, color=figures.TEXT)
    return figures.png(figure)


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
    axis.set_xlabel("predicted", color=figures.TEXT)
    axis.set_title(title, fontsize=10, color=figures.TEXT)
    figures.plain(axis)
    axis.tick_params(length=0, labelsize=8.5)
    for i in places:
        for j in places:
            if values[i, j]:
                shade = "white" if shares[i, j] > 0.55 else figures.TEXT
                shown = form.format(values[i, j]).replace("0.", ".", 1)
                axis.text(j, i, shown, ha="center", va="center", fontsize=8, color=shade)
