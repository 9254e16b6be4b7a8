"""Figures of emotion that the report draws itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from speechkit.base import figures

Log = Mapping[str, Sequence[float]]
_LETTER = 0.068  # inches of a letter of a legend


def curves(logs: Sequence[Log], best: Sequence[float]) -> bytes:
    """Training and validation loss, and validation accuracy and UAR, per step.

    Every fold and seed is a thin line; its selected step is a dot.

    Args:
        logs: columns of ``log.tsv`` by name.
        best: the selected step of each.
    """
    figure = figures.new_figure(7.4, 3.0)
    left, right = figure.subplots(1, 2)
    panels = (
        (left, "loss", (("train_loss", "training"), ("valid_loss", "validation"))),
        (right, "validation", (("valid_accuracy", "accuracy"), ("valid_uar", "UAR"))),
    )
    for axis, title, lines in panels:
        for (column, label), colour in zip(lines, (figures.OTHER, figures.HARD), strict=True):
            _lines(axis, logs, best, column, label, colour)
        axis.set_title(title, fontsize=11, color=figures.TEXT)
        axis.set_xlabel("step", color=figures.TEXT)
        axis.set_ylim(bottom=0)
        axis.grid(color=figures.GRID, linewidth=0.6)
        figures.plain(axis, left=True)
        for entry in axis.legend(frameon=False, fontsize=9).get_lines():
            entry.set_alpha(1)  # the lines themselves are faint where there are many
    return figures.png(figure)


def _lines(
    axis: figures.Axes,
    logs: Sequence[Log],
    best: Sequence[float],
    column: str,
    label: str,
    colour: str,
) -> None:
    faint = max(0.25, 1 / len(logs) ** 0.5)
    for log, chosen in zip(logs, best, strict=True):
        if column not in log:
            continue
        axis.plot(log["step"], log[column], color=colour, alpha=faint, linewidth=1.1, label=label)
        label = "_"  # one entry in the legend
        if chosen in log["step"] and column != "train_loss":
            at = list(log["step"]).index(chosen)
            axis.plot(chosen, log[column][at], "o", color=colour, alpha=max(0.5, faint), ms=3)


def recalls(models: Mapping[str, Sequence[float]], classes: Sequence[str]) -> bytes:
    """Recall of each class, one group of bars a class and one bar a model.

    Args:
        models: name -> recalls, from 0 to 1.
        classes: names.
    """
    wide = max(7.4, 0.95 * len(classes))
    room = max(map(len, models)) * _LETTER + 0.6  # of an entry of the legend
    columns = max(1, min(3, len(models), int(wide / room)))
    figure = figures.new_figure(wide, 2.8 + 0.2 * -(-len(models) // columns))
    axis = figure.subplots()
    width = 0.8 / len(models)
    shades = _shades(len(models))
    for number, (name, values) in enumerate(models.items()):
        places = np.arange(len(classes)) + width * (number - (len(models) - 1) / 2)
        axis.bar(places, values, width * 0.92, color=shades[number], label=name)
    axis.set_xticks(range(len(classes)), classes)
    axis.set_ylim(0, 1)
    axis.set_ylabel("recall", color=figures.TEXT)
    figures.plain(axis, left=True)
    figure.legend(frameon=False, fontsize=8.5, loc="outside lower center", ncols=columns)
    return figures.png(figure)


def _shades(count: int) -> list[tuple[float, float, float]]:
    """Colours from one end of the palette to the other."""
    from matplotlib.colors import LinearSegmentedColormap

    ramp = LinearSegmentedColormap.from_list("", [figures.MALE, figures.OTHER, figures.HARD])
    return [ramp(x)[:3] for x in np.linspace(0, 1, count)]
