"""ROC curves of words that nobody said, as PNG bytes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from speechkit.base import figures
from speechkit.base.figures import colours, dress, escape, panels
from speechkit.pronunciation.miscue_measures import FLAGGED_WORDS

TITLES = {
    "near": "replaced, near",
    "far": "replaced, far",
    "replaced": "replaced",
    "omission": "left out",
    "appended": "appended",
}
_LEFT = 1e-3  # of the axis of right words: one in a thousand


def draw_roc(curves: Mapping[str, Mapping[str, np.ndarray]]) -> bytes:
    """A panel for each kind of false words, a line for each model or evidence.

    The axis of right words is logarithmic: it matters at the small shares. The dashed line is the
    working point, with a dot where a curve meets it.

    Args:
        curves: kind -> label -> shares of right and of false words flagged ``[n, 2]``.
    """
    names = list(dict.fromkeys(name for lines in curves.values() for name in lines))
    shades = dict(zip(names, colours(names), strict=True))
    figure, axes = panels(2.6 * len(curves) + 1.7, 2.7, len(curves), sharey=True)
    handles = {}
    for axis, (kind, lines) in zip(axes, curves.items(), strict=True):
        axis.axvline(FLAGGED_WORDS, color=figures.SPINE, linestyle="--", linewidth=0.9)
        for name, curve in lines.items():
            x, y = np.maximum(curve[:, 0], _LEFT / 2), curve[:, 1]
            (handles[escape(name)],) = axis.step(
                x, y, where="post", color=shades[name], linewidth=1.4
            )
            met = y[curve[:, 0] <= FLAGGED_WORDS + 1e-9].max(initial=0.0)
            axis.plot(FLAGGED_WORDS, met, "o", color=shades[name], markersize=4.5)
        axis.set_xscale("log")
        axis.set_xlim(_LEFT, 1)
        axis.set_ylim(0, 1.02)
        axis.set_xticks([0.001, 0.01, 0.1, 1], ["0.1", "1", "10", "100"])
        axis.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
        dress(axis, TITLES.get(kind, kind), grid="both")
    axes[0].set_ylabel("false words found (%)", color=figures.TEXT)
    figure.supxlabel("right words flagged (%)", fontsize=10, color=figures.TEXT)
    figures.legend_beside(figure, handles)
    return figures.png(figure)
