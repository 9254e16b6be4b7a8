"""Figures of predicted scores: labels against predictions, and calibration; PNG bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from speechkit.base import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = 4.2  # inches
DOT = "#3d6f8e"
_SMALL = 0.006  # share of the scale that equal labels are spread by


def scatter(
    labels: np.ndarray, predicted: np.ndarray, scale: tuple[float, float], title: str = ""
) -> bytes:
    """What the model says against what was given, a dot an utterance.

    Args:
        labels: ``[U]`` on their own scale; NaN is left out.
        predicted: ``[U]``, mean of the seeds.
        scale: lowest and highest score.
        title: above.
    """
    given = np.isfinite(labels)
    x, y = labels[given], predicted[given]
    span = scale[1] - scale[0]
    # Labels are whole numbers: the same small steps aside at every drawing.
    aside = _SMALL * span * (np.arange(len(x)) * 7 % 11 - 5)
    figure = figures.new_figure(SIZE, SIZE)
    axis = figure.subplots()
    _diagonal(axis, scale)
    shade = float(np.clip(60 / max(len(x), 1) ** 0.75, 0.15, 0.7))
    axis.scatter(x + aside, y, s=12, color=DOT, alpha=shade, linewidths=0)
    _name(axis, "score given", "score predicted", title)
    return figures.png(figure)


def calibration(
    bins: Sequence[Sequence[float]], scale: tuple[float, float], title: str = ""
) -> bytes:
    """Mean label by mean prediction; the bars are one standard deviation of the labels.

    Args:
        bins: of :func:`speechkit.scoring.results.calibration`.
        scale: lowest and highest score.
        title: above.
    """
    figure = figures.new_figure(SIZE, SIZE)
    axis = figure.subplots()
    _diagonal(axis, scale)
    if len(bins):
        _, x, y, std = np.asarray(bins, dtype=np.float64).T
        axis.errorbar(
            *(x, y), yerr=np.nan_to_num(std), fmt="o-", color=DOT, ecolor=figures.OTHER,
            markersize=5, linewidth=1.4, elinewidth=1,
        )  # fmt: skip
    _name(axis, "mean score predicted", "mean score given", title)
    return figures.png(figure)


def _diagonal(axis: Axes, scale: tuple[float, float]) -> None:
    axis.plot(scale, scale, color=figures.SPINE, linewidth=0.9, linestyle="--", zorder=0)
    room = 0.04 * (scale[1] - scale[0])
    axis.set_xlim(scale[0] - room, scale[1] + room)
    axis.set_ylim(scale[0] - room, scale[1] + room)
    axis.set_aspect("equal")
    axis.grid(color=figures.GRID, linewidth=0.6)


def _name(axis: Axes, x: str, y: str, title: str) -> None:
    axis.set_xlabel(x, color=figures.TEXT)
    axis.set_ylabel(y, color=figures.TEXT)
    if title:
        axis.set_title(title, fontsize=10.5, color=figures.TEXT)
    figures.plain(axis, left=True)
