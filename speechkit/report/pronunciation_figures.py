"""Figures of pronunciation, after Figures 1 to 5 of Do et al. (Interspeech 2023), as PNG bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from speechkit.base import figures
from speechkit.base.figures import colours, dress, escape, panels
from speechkit.labels.scores import ASPECTS, split_aspect
from speechkit.stats.score_metrics import class_places

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 0.2  # of a class, on the scale from 0 to 2
TOP = 2.0
LABELS = "#8c8c8c"
LEVEL_COLOUR = {"phone": "#7a5fa8", "word": "#b5651d", "utterance": "#3d6f8e"}
Spread = tuple[float, "float | None"]


def title(aspect: str) -> str:
    """``word_stress`` -> ``word stress``."""
    return aspect.replace("_", " ")


def label_histograms(values: Mapping[str, np.ndarray]) -> bytes:
    """Fig. 1: how many labels are in each class (that of the losses), for every aspect.

    Args:
        values: aspect -> labels from 0 to 2 ``[n]``; aspects without labels are left out.
    """
    shown = {aspect: values[aspect] for aspect in ASPECTS if len(values.get(aspect, ()))}
    rows = [[a for a in shown if a.startswith(p)] for p in ("utterance", ("word", "phone"))]
    rows = [row for row in rows if row]
    columns = max(len(row) for row in rows)
    size = (max(4.0, 2.15 * columns), 2.3 * len(rows) + 0.3)
    figure, grid = panels(*size, columns, len(rows), sharey=True)
    for place, row in enumerate(rows):
        axes = grid[place * columns : (place + 1) * columns]
        for aspect, axis in zip(row, axes, strict=False):
            _counts(axis, aspect, shown[aspect])
        for axis in axes[len(row) :]:
            axis.set_visible(False)
        axes[0].set_ylabel("share of labels (%)", fontsize=9, color=figures.TEXT)
    figure.supxlabel("score, from 0 to 2", fontsize=10, color=figures.TEXT)
    return figures.png(figure)


def _counts(axis: Axes, aspect: str, values: np.ndarray) -> None:
    """Bars of one aspect, each with its count: the rare ones are what it is about."""
    classes = np.clip(class_places(values, WIDTH).astype(int), 0, round(TOP / WIDTH))
    counts = np.bincount(classes, minlength=round(TOP / WIDTH) + 1)
    share = 100 * counts / len(values)
    place = WIDTH * np.arange(len(counts))
    axis.bar(place, share, 0.8 * WIDTH, color=LEVEL_COLOUR[split_aspect(aspect)[0]])
    for x, y, count in zip(place, share, counts, strict=True):
        if count:
            axis.text(x, y + 2, f"{count:,}", rotation=90, fontsize=6.5, ha="center", va="bottom")
    axis.set_ylim(0, 128)
    axis.set_yticks([0, 50, 100])
    axis.set_xticks([0, 1, 2])
    dress(axis, title(aspect))


def errors_and_correlations(arms: Mapping[str, Mapping[str, Mapping[str, Spread]]]) -> bytes:
    """Fig. 2: a low error need not be a high correlation. A dot an arm, a line an aspect.

    Args:
        arms: name -> ``mse`` and ``pcc`` -> aspect -> mean and standard deviation over seeds.
    """
    aspects = [a for a in ASPECTS if any(a in arm["pcc"] for arm in arms.values())]
    height = 0.9 + len(aspects) * max(0.3, 0.11 * len(arms))
    figure, axes = panels(8.6, height, 2, sharey=True)
    place = -np.arange(len(aspects), dtype=float)
    offsets = np.linspace(0.3, -0.3, len(arms)) if len(arms) > 1 else np.zeros(1)
    for axis, measure, name in zip(axes, ("mse", "pcc"), ("MSE", "PCC"), strict=True):
        for (label, arm), colour, offset in zip(arms.items(), colours(arms), offsets, strict=True):
            pairs = [arm[measure].get(a, (np.nan, None)) for a in aspects]
            axis.errorbar(
                [mean for mean, _ in pairs],
                place + offset,
                xerr=[std or 0.0 for _, std in pairs],
                fmt="o", markersize=3.8, color=colour, elinewidth=1, label=escape(label),
            )  # fmt: skip
        axis.locator_params(axis="x", nbins=5)
        axis.set_xlim(left=min(0.0, axis.get_xlim()[0]))
        for line in place[:-1]:
            axis.axhline(line - 0.5, color=figures.GRID, linewidth=0.8, zorder=0)
        dress(axis, name, grid="x")
    axes[0].set_yticks(place, [title(aspect) for aspect in aspects])
    axes[0].set_ylim(place[-1] - 0.5, 0.5)
    handles, labels = axes[0].get_legend_handles_labels()
    figures.legend_beside(figure, list(zip(labels, handles, strict=True)))
    return figures.png(figure)


def epochs(arms: Mapping[str, Mapping[str, np.ndarray]], aspects: Sequence[str]) -> bytes:
    """Fig. 3: correlation on the tracked set by epoch, mean over seeds with their range.

    Args:
        arms: name -> aspect -> PCC ``[seeds, epochs]``.
    """
    columns = min(3, len(aspects))
    rows = -(-len(aspects) // columns)
    figure, grid = panels(3.1 * columns + 1.6, 2.5 * rows + 0.2, columns, rows, sharex=True)
    for axis, aspect in zip(grid, aspects, strict=False):
        for (label, arm), colour in zip(arms.items(), colours(arms), strict=True):
            values = arm.get(aspect)
            if values is None:
                continue
            place = np.arange(1, values.shape[1] + 1)
            known = ~np.isnan(values).all(axis=0)
            middle = np.nanmean(values[:, known], axis=0)
            low, high = np.nanmin(values[:, known], axis=0), np.nanmax(values[:, known], axis=0)
            if len(values) > 1:
                axis.fill_between(place[known], low, high, color=colour, alpha=0.13, linewidth=0)
            axis.plot(place[known], middle, color=colour, linewidth=1.5, label=escape(label))
        dress(axis, title(aspect), grid="both")
        figures.whole_numbers(axis)
    for axis in grid[len(aspects) :]:
        axis.set_visible(False)
    found = {
        label: h for a in grid for h, label in zip(*a.get_legend_handles_labels(), strict=True)
    }
    figures.legend_beside(figure, found)
    figure.supxlabel("epoch", fontsize=10, color=figures.TEXT)
    figure.supylabel("PCC", fontsize=10, color=figures.TEXT)
    return figures.png(figure)


def by_beta(values: Mapping[str, Mapping[float, Spread]]) -> bytes:
    """Fig. 4: correlation of each aspect by beta.

    Args:
        values: aspect -> beta -> mean and standard deviation of the PCC over seeds.
    """
    betas = sorted({beta for points in values.values() for beta in points})
    levels = [("phone", "word"), ("utterance",)]
    groups = [[a for a in ASPECTS if a in values and split_aspect(a)[0] in of] for of in levels]
    groups = [group for group in groups if group]
    figure, axes = panels(4.3 * len(groups), 3.9, len(groups), sharey=True)
    for axis, group in zip(axes, groups, strict=True):
        for aspect, colour in zip(group, colours(dict.fromkeys(group)), strict=True):
            pairs = [values[aspect].get(beta, (np.nan, None)) for beta in betas]
            axis.errorbar(
                range(len(betas)),
                [mean for mean, _ in pairs],
                yerr=[std or 0.0 for _, std in pairs],
                fmt="o-", markersize=4, color=colour, linewidth=1.4, elinewidth=0.9,
                label=title(aspect),
            )  # fmt: skip
        axis.set_xticks(range(len(betas)), [f"{beta:g}" for beta in betas])
        dress(axis, y="" if axis is not axes[0] else "PCC", grid="both")
        axis.legend(frameon=False, fontsize=8.5, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    figure.supxlabel("β", fontsize=10, color=figures.TEXT)
    return figures.png(figure)


def distributions(densities: Mapping[str, Mapping[str, np.ndarray]]) -> bytes:
    """Fig. 5: distributions of labels and predictions, one panel an aspect.

    A row is the density (each scaled to its own peak); the line is the mean, the darker part
    one standard deviation to either side, strokes the lowest hundredth of the scores.

    Args:
        densities: aspect -> name (``labels`` first) -> scores from 0 to 2 ``[n]``.
    """
    names = list(dict.fromkeys(name for rows in densities.values() for name in rows))
    size = (4.4 * len(densities) + 0.4, 0.62 * len(names) + 1.0)
    figure, axes = panels(*size, len(densities), sharey=True)
    shades = dict(zip(names, [LABELS, *colours(dict.fromkeys(names[1:]))], strict=True))
    for axis, (aspect, rows) in zip(axes, densities.items(), strict=True):
        low = min(float(values.min()) for values in rows.values())
        high = max(float(np.quantile(values, 0.995)) for values in rows.values())
        edges = np.linspace(min(low, TOP - WIDTH) - 0.05, max(high, TOP) + 0.15, 240)
        for name, values in rows.items():
            _ridge(axis, -float(names.index(name)), values, edges, shades[name])
        axis.set_xlim(edges[0], edges[-1])
        dress(axis, title(aspect), left=False)
        axis.tick_params(axis="y", length=0)
    axes[0].set_yticks([-k + 0.3 for k in range(len(names))], [escape(name) for name in names])
    figure.supxlabel("score, from 0 to 2", fontsize=10, color=figures.TEXT)
    return figures.png(figure)


def _ridge(axis: Axes, base: float, values: np.ndarray, place: np.ndarray, colour: str) -> None:
    width = max(0.02, 0.25 * float(values.std()))
    step = place[1] - place[0]
    counts, _ = np.histogram(values, np.append(place - step / 2, place[-1] + step / 2))
    density = np.exp(-0.5 * ((place[:, None] - place) / width) ** 2) @ counts
    height = 0.82 * density / max(density.max(), 1e-12)
    mean, std = float(values.mean()), float(values.std())
    axis.fill_between(place, base, base + height, color=colour, alpha=0.35, linewidth=0)
    inside = (place >= mean - std) & (place <= mean + std)
    axis.fill_between(
        place, base, base + height, where=inside, color=colour, alpha=0.5, linewidth=0
    )
    axis.plot(place, base + height, color=colour, linewidth=1)
    axis.vlines(mean, base, base + 0.86, color=colour, linewidth=1.6)
    tail = np.sort(values)[: max(1, len(values) // 100)]
    axis.plot(tail, np.full(len(tail), base + 0.04), "|", color=colour, markersize=6)
