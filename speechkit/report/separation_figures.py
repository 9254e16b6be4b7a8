"""Figures of separation: curves of training, and SI-SNRi of the sorted mixtures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.base import figures
from speechkit.separation.paper import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABEL = 30  # characters of a line of a legend
MOST = 10  # lines of a figure
PERCENT = np.linspace(0, 100, 401)
ZOOM = 25.0  # percent of mixtures
_MAPS = {"pitch": "Blues", "xvector": "Oranges", "energy": "Greens"}
_WEIGHTED = {(True, False): "#2a9d8f", (False, True): "#7a5fa8", (True, True): "#c2549d"}
_OTHERS = ("#8c6d31", "#4f6d7a", "#9a8c98", "#6b705c")


@dataclass(frozen=True)
class Line:
    """One line of a figure.

    Args:
        label: for the legend.
        recipe: decides the colour.
        values: along the axis, by panel.
    """

    label: str
    recipe: Recipe | None
    values: Mapping[str, Sequence[float] | np.ndarray]


def curves(lines: Sequence[Line], titles: Mapping[str, str]) -> bytes:
    """Measures of the validation set by epoch.

    Args:
        lines: one or more experiments with one network.
        titles: column of the log -> title of its panel.
    """
    figure, axes = figures.panels(3.5 * len(titles) + 2.4, _height(lines), len(titles))
    for axis, (column, title) in zip(axes, titles.items(), strict=True):
        for line, style in zip(lines, styles(lines), strict=True):
            values = np.asarray(line.values[column])
            axis.plot(np.arange(1, len(values) + 1), values, **style)
        if column.endswith("_percent"):
            axis.set_ylim(*np.clip(axis.get_ylim(), -1.0, 101.0))
        figures.dress(axis, title, x="epoch", grid="both")
    _legend(figure, axes[0], lines)
    return figures.png(figure)


def tails(lines: Sequence[Line], thresholds: Sequence[float] = (5.0, 10.0)) -> bytes:
    """SI-SNRi of the mixtures from the hardest to the easiest: the first quarter, and all.

    Args:
        lines: with values ``si_snri_db`` at ``PERCENT``.
        thresholds: of hard sample rates, in dB.
    """
    figure, axes = figures.panels(9.4, max(3.5, _height(lines)), 2)
    for axis, end, title, y in (
        (axes[0], ZOOM, f"the hardest {ZOOM:g} %", "SI-SNRi (dB)"),
        (axes[1], 100.0, "all mixtures", ""),
    ):
        shown = np.flatnonzero(end >= PERCENT)
        for line, style in zip(lines, styles(lines), strict=True):
            values = np.asarray(line.values["si_snri_db"])
            axis.plot(PERCENT[shown], values[shown], **{**style, "marker": ""})
        low, high = axis.get_ylim()
        for threshold in (t for t in thresholds if low < t < high):
            axis.axhline(threshold, color=figures.SPINE, linewidth=0.9, linestyle=":", zorder=0)
        axis.set_xlim(0, end)
        figures.dress(axis, title, y=y, grid="both")
    figure.supxlabel("percent of mixtures, sorted by SI-SNRi", fontsize=10, color=figures.TEXT)
    _legend(figure, axes[0], lines)
    return figures.png(figure)


def split(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines of one figure each: all, or (where they are many) each way to mine beside plain DM."""
    if len(lines) <= MOST:
        return [list(lines)]
    plain = plain_mixing(lines)
    families: dict[str, list[Line]] = {}
    for line in lines:
        param = line.recipe.param if line.recipe else ""
        families.setdefault(param, [plain] if param and plain else []).append(line)
    return list(families.values())


def plain_mixing(lines: Sequence[Line]) -> Line | None:
    """The line of dynamic mixing alone: that of ``dm`` if it is there, else the first."""
    found = [line for line in lines if line.recipe == Recipe(True)]
    named = [n for n in found if n.label.split(",")[0].removeprefix("full_") == "dm"]
    return next(iter(named or found), None)


def styles(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """A look for each line: a family of colours for each way to mine, black for plain DM."""
    import matplotlib

    plain = plain_mixing(lines)
    found: list[dict[str, Any]] = []
    others = 0
    for line in lines:
        t, style = line.recipe, {"linewidth": 1.6, "marker": ".", "markersize": 5}
        if t is not None and t.param:
            family = [one for one in lines if one.recipe and one.recipe.param == t.param]
            place = (1 + next(i for i, one in enumerate(family) if one is line)) / len(family)
            colours = matplotlib.colormaps[_MAPS.get(t.param, "Purples")]
            style["color"] = colours(0.35 + 0.45 * place)
        elif t is not None and (t.wtl, t.wvl) in _WEIGHTED:
            style["color"] = _WEIGHTED[t.wtl, t.wvl]
        elif t is not None and not t.dm:
            style.update(color="#b3b3b3")
        elif line is plain:
            style.update(color=figures.TEXT, linewidth=2.2, zorder=3)
        else:
            style.update(color=_OTHERS[others % len(_OTHERS)], linestyle="--")
            others += 1
        found.append(style)
    return found


def _height(lines: Sequence[Line]) -> float:
    return max(3.0, 0.7 + 0.17 * sum(_wrapped(line.label).count("\n") + 1.35 for line in lines))


def _wrapped(label: str) -> str:
    """Lines of at most ``LABEL`` characters, broken at underscores where that is possible."""
    lines = [""]
    for part in re.findall(rf"[^_ ]{{1,{LABEL - 1}}}[_ ]?|[_ ]", label):
        if len(lines[-1]) + len(part) > LABEL:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _legend(figure: Figure, axis: Axes, lines: Sequence[Line]) -> None:
    labels = [figures.escape(_wrapped(line.label)) for line in lines]
    figures.legend_beside(figure, list(zip(labels, axis.get_lines()[: len(lines)], strict=True)))
