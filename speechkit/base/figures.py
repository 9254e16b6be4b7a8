"""One look for all figures: colours, a bare axis, PNG bytes. No global Matplotlib state."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEXT, GRID, SPINE = "#2b2b2b", "#e6e6e6", "#999999"
HARD, OTHER = "#c8553d", "#8aa4b8"
FEMALE, MALE, UNKNOWN = "#b5651d", "#3d6f8e", "#8c8c8c"
GENDER_COLOUR = {"f": FEMALE, "m": MALE}
GENDER_NAME = {"f": "female", "m": "male", "?": "unknown"}
DPI = 150


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of ``width`` x ``height`` inches with constrained layout."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plain(axis: Axes, left: bool = False) -> None:
    """Only the spines that are needed: the bottom one, and the left one if asked for."""
    for side in ("top", "right", *(() if left else ("left",))):
        axis.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axis.spines[side].set_color(SPINE)
    axis.tick_params(colors=TEXT, labelsize=9)


def png(figure: Figure) -> bytes:
    """The figure as PNG, the same bytes for the same figure."""
    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"Software": None}
    figure.savefig(buffer, format="png", metadata=metadata)
    return buffer.getvalue()
