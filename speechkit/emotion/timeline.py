"""The course of emotions over a recording, as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from speechkit.base.figures import GRID, TEXT, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from speechkit.emotion.course import Prediction

# One hue per class, told apart also in grey and by people who do not see red and green alike.
COLOURS = (
    "#8c8c8c", "#7fb7be", "#e6b33d", "#3d6f8e", "#c8553d", "#7a5c99", "#6b8e4e", "#e08fb0",
    "#b5651d", "#2b2b2b",
)  # fmt: skip


def draw(made: Prediction) -> Figure:
    """Probabilities stacked over time; white where the recording is silent.

    Args:
        made: of one recording. Where windows overlap, each counts around its middle.
    """
    figure = new_figure(8.0, 2.6)
    axis = figure.add_subplot()
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
    axis.set_xlabel("time (s)", color=TEXT)
    axis.set_ylabel("probability", color=TEXT)
    axis.set_title(f"{made.input.name}: {made.label or 'silent'}", loc="left", color=TEXT)
    axis.grid(axis="y", color=GRID)
    axis.set_axisbelow(True)
    plain(axis, left=True)
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    return figure


def _edges(made: Prediction) -> np.ndarray:
    """Borders ``[N + 1]``: half-way between the middles of neighbouring windows."""
    middles = np.array([(w.start + w.end) / 2 for w in made.windows])
    inner = (middles[1:] + middles[:-1]) / 2
    return np.concatenate([[0.0], inner, [made.seconds]])
