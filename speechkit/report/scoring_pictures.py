"""Figures of transfer scoring, as PNG bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from speechkit.base import figures
from speechkit.report.pronunciation_pictures import colours, escape
from speechkit.scoring.metrics import class_width

Point = tuple[float, float, "float | None"]  # x, mean PCC, standard deviation over seeds


def distribution(labels: np.ndarray, scale: tuple[float, float], target: str) -> bytes:
    """Fig. 4: how many utterances have each score.

    Args:
        labels: ``[n]`` on their own scale.
        scale: lowest and highest score.
        target: name of the score.
    """
    width = class_width(scale[1] - scale[0])
    classes = np.rint((labels - scale[0]) / width).astype(int)
    counts = np.bincount(classes, minlength=round((scale[1] - scale[0]) / width) + 1)
    place = scale[0] + width * np.arange(len(counts))
    figure = figures.new_figure(5.2, 3.1)
    axis = figure.subplots()
    axis.bar(place, counts, 0.8 * width, color=figures.MALE)
    for x, count in zip(place, counts.tolist(), strict=True):
        if count:
            axis.text(x, count, f"{count:,}", fontsize=8, ha="center", va="bottom")
    axis.set_ylim(0, 1.12 * counts.max())
    axis.locator_params(axis="x", integer=True)
    axis.set_xlabel(f"score ({target})", color=figures.TEXT)
    axis.set_ylabel("utterances", color=figures.TEXT)
    figures.plain(axis, left=True)
    return figures.png(figure)


def by_labels(lines: Mapping[str, Sequence[Point]]) -> bytes:
    """PCC by the number of labelled utterances, on a logarithmic axis that begins with none.

    Args:
        lines: name -> points.
    """
    counts = sorted({int(x) for points in lines.values() for x, _, _ in points})
    above = [count for count in counts if count]
    nowhere = np.log2(above[0]) - 1.5 if above else 0.0
    place = {count: float(np.log2(count)) if count else nowhere for count in counts}
    moved = {name: [(place[int(x)], y, s) for x, y, s in pts] for name, pts in lines.items()}
    return _curves(moved, "utterances with a human score", {place[n]: n for n in counts})


def by_hours(lines: Mapping[str, Sequence[Point]]) -> bytes:
    """PCC by hours of speech that the acoustic model learned from.

    Args:
        lines: name -> points.
    """
    return _curves(lines, "hours of speech that the acoustic model learned from", {})


def _curves(lines: Mapping[str, Sequence[Point]], x: str, ticks: Mapping[float, int]) -> bytes:
    figure = figures.new_figure(6.6, 3.7)
    axis = figure.subplots()
    for (label, points), colour in zip(lines.items(), colours(lines), strict=False):
        place, mean, std = zip(*sorted(points, key=lambda p: p[0]), strict=True)
        axis.errorbar(
            *(place, mean), yerr=[one or 0.0 for one in std], fmt="o-", markersize=4.5,
            color=colour, linewidth=1.5, elinewidth=1, label=escape(label),
        )  # fmt: skip
    if ticks:
        axis.set_xticks(list(ticks), [f"{count:,}" for count in ticks.values()])
    else:
        axis.set_xlim(left=0)
    axis.set_xlabel(x, color=figures.TEXT)
    axis.set_ylabel("test PCC", color=figures.TEXT)
    axis.grid(color=figures.GRID, linewidth=0.6)
    above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1)}
    axis.legend(frameon=False, fontsize=8.5, ncols=min(2, len(lines)), **above)
    figures.plain(axis, left=True)
    return figures.png(figure)
