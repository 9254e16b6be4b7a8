"""The figures that the report draws itself, as PNG bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from speechkit.base import figures


def pitch(panels: Sequence[tuple[str, Mapping[str, np.ndarray]]]) -> bytes:
    """Histograms of median f0 by gender, one panel a set, on common axes."""
    every = np.concatenate([v for _, by_gender in panels for v in by_gender.values()])
    low, high = np.percentile(every, (0, 99.8))
    edges = np.linspace(float(low), float(high), 41)
    figure = figures.new_figure(max(4.6, 3.4 * len(panels)), 3.1)
    axes = figure.subplots(1, len(panels), sharex=True, squeeze=False)[0]
    for axis, (name, by_gender) in zip(axes, panels, strict=True):
        for gender, values in sorted(by_gender.items()):
            colour = figures.GENDER_COLOUR.get(gender, figures.UNKNOWN)
            label = figures.GENDER_NAME.get(gender, gender)
            axis.hist(values, edges, color=colour, alpha=0.65, label=label)
        axis.set_title(name, fontsize=11, color=figures.TEXT)
        axis.set_ylabel("utterances" if axis is axes[0] else "", color=figures.TEXT)
        figures.plain(axis, left=True)
    axes[-1].legend(frameon=False, fontsize=9)
    figure.supxlabel("median f0 (Hz)", fontsize=10, color=figures.TEXT)
    return figures.png(figure)


def training(name: str, log: Mapping[str, Sequence[float]], best: int) -> bytes:
    """Loss, accuracy and equal error rate by epoch."""
    epochs = log["epoch"]
    panels: list[tuple[str, tuple[tuple[str, str], ...]]] = [
        ("loss", (("train_loss", "training"), ("held_out_loss", "held out"))),
        ("held-out accuracy", (("held_out_accuracy", ""),)),
    ]
    if np.isfinite(log["held_out_eer_percent"]).any():  # it needs two utterances of a speaker
        panels.append(("held-out EER (%)", (("held_out_eer_percent", ""),)))
    figure = figures.new_figure(3.2 * len(panels), 2.9)
    axes = figure.subplots(1, len(panels))
    for axis, (title, lines) in zip(axes, panels, strict=True):
        for (column, label), colour in zip(lines, (figures.OTHER, figures.HARD), strict=False):
            shade = figures.HARD if len(lines) == 1 else colour
            axis.plot(epochs, log[column], ".-", color=shade, label=label, linewidth=1.6)
        axis.axvline(best, color=figures.SPINE, linestyle="--", linewidth=1)
        axis.set_title(title, fontsize=11, color=figures.TEXT)
        axis.set_xlabel("epoch", color=figures.TEXT)
        axis.set_ylim(bottom=0)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(color=figures.GRID, linewidth=0.6)
        figures.plain(axis, left=True)
        if len(lines) > 1:
            axis.legend(frameon=False, fontsize=9)
    return figures.png(figure)


def cosines(panels: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> bytes:
    """Histograms of cosine similarity for pairs of one and of two speakers."""
    figure = figures.new_figure(max(4.6, 3.4 * len(panels)), 3.0)
    low = min(float(scores.min()) for _, scores, _ in panels)
    edges = np.linspace(low, 1, 61)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (name, scores, same) in zip(axes, panels, strict=True):
        for mask, colour, label in (
            (~same, figures.OTHER, "two speakers"),
            (same, figures.HARD, "one speaker"),
        ):
            if mask.any():
                axis.hist(scores[mask], edges, color=colour, alpha=0.7, label=label, density=True)
        axis.set_title(name, fontsize=11, color=figures.TEXT)
        axis.set_yticks([])
        figures.plain(axis)
    axes[0].legend(frameon=False, fontsize=9, loc="upper left")
    figure.supxlabel("cosine similarity", fontsize=10, color=figures.TEXT)
    return figures.png(figure)
