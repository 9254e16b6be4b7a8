"""One look for all figures: colours, panels, axes, PNG bytes. No global Matplotlib state.

``panels`` makes a figure, its axes are drawn on, ``dress`` gives each its title, labels and grid,
and ``png`` writes it::

    figure, (axis,) = panels(5.2, 3.1)
    axis.plot(epochs, loss, color=HARD)
    dress(axis, "loss", x="epoch", grid="both")
    return png(figure)
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEXT, GRID, SPINE = "#2b2b2b", "#e6e6e6", "#999999"
HARD, OTHER = "#c8553d", "#8aa4b8"
FEMALE, MALE, UNKNOWN = "#b5651d", "#3d6f8e", "#8c8c8c"
GENDER_COLOUR = {"f": FEMALE, "m": MALE}
GENDER_NAME = {"f": "female", "m": "male", "?": "unknown"}
SERIES = ("#2b2b2b", HARD, MALE, "#2a9d8f", FEMALE, "#7a5fa8", "#8c6d31", "#c2549d")
DPI = 150


def panels(
    width: float, height: float, columns: int = 1, rows: int = 1, **shared: Any
) -> tuple[Figure, list[Axes]]:
    """A figure and its axes, row by row.

    Args:
        width: in inches.
        height: in inches.
        columns: axes of a row.
        shared: what ``subplots`` takes (``sharex``, ``sharey``, ``height_ratios``).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False, **shared).ravel())


def dress(
    axis: Axes, title: str = "", x: str = "", y: str = "", grid: str = "", left: bool = True
) -> None:
    """The title, the labels, the grid (``both`` or ``x``) and the bare frame of an axis."""
    if title:
        axis.set_title(title, fontsize=10.5, color=TEXT)
    if x:
        axis.set_xlabel(x, color=TEXT)
    if x in ("epoch", "step"):
        whole_numbers(axis)
    if y:
        axis.set_ylabel(y, color=TEXT)
    if grid:
        axis.grid(axis=grid, color=GRID, linewidth=0.6)  # type: ignore[arg-type]
    plain(axis, left)


def plain(axis: Axes, left: bool = False) -> None:
    """Only the spines that are needed: the bottom one, and the left one if asked for."""
    for side in ("top", "right", *(() if left else ("left",))):
        axis.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axis.spines[side].set_color(SPINE)
    axis.tick_params(colors=TEXT, labelsize=9)


def whole_numbers(axis: Axes) -> None:
    """Ticks of the x axis at whole numbers only, such as epochs."""
    axis.locator_params(axis="x", integer=True, min_n_ticks=1)


def legend_beside(figure: Figure, entries: Mapping[str, Any] | Sequence[tuple[str, Any]]) -> None:
    """A legend to the right of all panels.

    Args:
        entries: label -> line, in their order.
    """
    pairs = list(entries.items() if isinstance(entries, Mapping) else entries)
    figure.legend(
        [line for _, line in pairs],
        [label for label, _ in pairs],
        loc="outside right upper",
        frameon=False,
        fontsize=8.5,
        labelcolor=TEXT,
    )


def colours(names: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """A colour for each of several series."""
    return [SERIES[k % len(SERIES)] for k in range(len(names))]


def escape(label: str) -> str:
    """A name as Matplotlib shows it: '$' is no formula, a leading '_' hides nothing."""
    label = label.replace("$", r"\$")
    return f" {label}" if label.startswith("_") else label


def png(figure: Figure) -> bytes:
    """The figure as PNG, the same bytes for the same figure."""
    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"Software": None}
    figure.savefig(buffer, format="png", metadata=metadata)
    return buffer.getvalue()
