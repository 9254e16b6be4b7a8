"""The figure of mine-hard: who is hard for whom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.base import figures
from speechkit.base.figures import GENDER_NAME, HARD, OTHER, TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_AXIS = {
    "Hz": "Difference of pitch medians (Hz)",
    "semitones": "Difference of pitch medians (semitones)",
    "dB": "Energy ratio (dB)",
    "cosine distance": "Cosine distance of x-vectors",
}
_PANELS = 6


@dataclass
class DrawnPairs:
    """Random ordered pairs and their distances.

    Args:
        i: ``[n]`` pivots.
        j: ``[n]`` partners.
        distance: ``[n]``.
        hard: ``[n]`` whether the pair is in the pivot's hard set.
    """

    i: np.ndarray
    j: np.ndarray
    distance: np.ndarray
    hard: np.ndarray


def combination_names(label: np.ndarray, drawn: DrawnPairs) -> np.ndarray:
    """``a-b`` for each pair, the two labels in alphabetical order."""
    a, b = label[drawn.i], label[drawn.j]
    return np.char.add(np.char.add(np.where(a < b, a, b), "-"), np.where(a < b, b, a))


def draw_distances(
    path: Path, hard: DrawnPairs, every: DrawnPairs, gender: np.ndarray, summary: dict[str, Any]
) -> None:
    """Distance distributions of hard and other pairs per gender combination, as PNG.

    Areas are in proportion to numbers of pairs: other pairs add up to 1 over the panels,
    hard pairs to 1, each on its own scale, so that panels can be compared by eye.
    """
    shares = summary["gender_pairs"]
    names = sorted(shares, key=lambda n: -shares[n]["chance_percent"])[:_PANELS]
    names.sort()
    of_hard, of_all = combination_names(gender, hard), combination_names(gender, every)
    edges = _edges(np.concatenate([hard.distance, every.distance]))
    others = [every.distance[(of_all == n) & ~every.hard] for n in names]
    hards = [hard.distance[of_hard == n] for n in names]
    count = len(names) + (len(names) > 1)  # one combination needs no panel of shares
    figure, axes = figures.panels(2.9 * count + 0.9 + 1.3 * (count == 1), 3.9, count)
    heights = [_bars(o, len(every.i), edges) for o in others]
    hard_heights = [_bars(h, len(hard.i), edges) for h in hards]
    top = max(float(max(map(np.max, heights))), 1e-9)
    hard_top = max(float(max(map(np.max, hard_heights))), 1e-9)
    for axis, name, other, near in zip(axes, names, heights, hard_heights, strict=False):
        _panel(axis, edges, other / top, near / hard_top)
        y = "Pairs (each kind on its own scale)" if axis is axes[0] else ""
        figures.dress(axis, _title(name), y=y, left=False)
    axes[0].legend(frameon=False, fontsize=9, loc="upper right")
    figure.supxlabel(_AXIS[summary["distance_unit"]], fontsize=10, color=TEXT)
    if len(names) > 1:
        _share_panel(axes[-1], names, shares)
    break_ = " " if len(names) > 1 else "\n"  # one panel is narrow
    figure.suptitle(
        f"Who is hard for whom:{break_}"
        f"each utterance's nearest {100 * summary['pm']:g} %"
        f" ({summary['set']})",
        fontsize=12.5,
        color=TEXT,
    )
    path.write_bytes(figures.png(figure))


def _edges(distances: np.ndarray) -> np.ndarray:
    """Bins that leave out the last of a long tail, and the empty stretch before the first."""
    low, high = np.percentile(distances, (0, 99.9))
    low = low if low > 0.25 * high else 0.0
    return np.linspace(low, high if high > low else low + 1.0, 61)


def _bars(values: np.ndarray, total: int, edges: np.ndarray) -> np.ndarray:
    """Share of all pairs of this kind in each bin."""
    return np.histogram(values, edges)[0] / max(1, total)


def _title(name: str) -> str:
    if name == "?-?":
        return "gender unknown"
    a, dash, b = name.partition("-")
    if name.count("-") > 1 or not dash:  # a value of spk2gender that holds a dash itself
        return name
    return f"{GENDER_NAME.get(a, a)} – {GENDER_NAME.get(b, b)}"


def _panel(axis: Axes, edges: np.ndarray, other: np.ndarray, near: np.ndarray) -> None:
    axis.stairs(other, edges, fill=True, color=OTHER, alpha=0.75, label="other pairs")
    axis.stairs(near, edges, fill=True, color=HARD, alpha=0.75, label="hard pairs")
    axis.set_ylim(0, 1.3)
    axis.set_xlim(edges[0], edges[-1])
    axis.set_yticks([])


def _share_panel(axis: Axes, names: list[str], shares: dict[str, dict[str, float]]) -> None:
    """Share of each combination among hard pairs and among all pairs."""
    place = np.arange(len(names))
    for offset, key, colour, label in (
        (-0.2, "chance_percent", OTHER, "all pairs"),
        (0.2, "hard_percent", HARD, "hard pairs"),
    ):
        height = [shares[name][key] for name in names]
        bars = axis.bar(place + offset, height, 0.38, color=colour, alpha=0.85, label=label)
        axis.bar_label(bars, fmt="%.0f %%", fontsize=8, padding=2, color=TEXT)
    axis.set_xticks(place, names)
    axis.set_ylim(
        0, 1.3 * max(max(s["hard_percent"], s["chance_percent"]) for s in shares.values())
    )
    axis.set_yticks([])
    axis.legend(frameon=False, fontsize=9, loc="upper right")
    figures.dress(axis, "share of pairs", left=False)
