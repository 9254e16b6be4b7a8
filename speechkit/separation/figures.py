"""The figure of analyze-correlation: parameters along the mixtures sorted by SI-SNRi (Fig. 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from speechkit.base import figures
from speechkit.base.figures import HARD, OTHER, TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from speechkit.separation.speaker_distance import SpeakerDistance

_ROWS = 36  # bins of a parameter
_PER_BIN = 12  # mixtures in a column of the density, on average
_HSR_DB = (5.0, 10.0)


def draw(
    folder: Path,
    pairs: pd.DataFrame,
    scores: pd.DataFrame,
    found: Sequence[SpeakerDistance],
    rows: Mapping[str, Mapping[str, Any]],
    model: str,
) -> None:
    """Write ``fig2.png``.

    Args:
        folder: of the outputs.
        pairs: one line a mixture, sorted by SI-SNRi.
        scores: SI-SNRi by mixture and seed.
        found: parameters, columns of ``pairs``.
        rows: correlations over all mixtures by parameter.
        model: name of the experiment.
    """
    heights = [1, *[1.15] * len(found)]
    size = (7.5, 2.0 + 1.9 * len(found))
    figure, axes = figures.panels(*size, 1, len(heights), sharex=True, height_ratios=heights)
    _line(axes[0], pairs, scores.loc[pairs.index])
    for axis, parameter in zip(axes[1:], found, strict=True):
        _density(axis, pairs[parameter.name].to_numpy(float))
        axis.set_ylabel(parameter.title.replace(" (", "\n("), fontsize=9, color=TEXT)
        axis.set_title(_title(rows.get(parameter.name)), fontsize=9.5, color=TEXT, loc="left")
    axes[-1].set_xlabel("Mixtures, from the hardest to the easiest", color=TEXT)
    axes[-1].set_xlim(0, len(pairs))
    figure.suptitle(f"SI-SNRi of '{model}' and the speakers of the mixtures", color=TEXT)
    (folder / "fig2.png").write_bytes(figures.png(figure))


def _title(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""

    def one(name: str) -> str:
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        return f"{row[name]:.3f}" + (f" [{low:.2f}, {high:.2f}]" if low == low else "")

    return f"Pearson's ρ = {one('pearson')}, Spearman's {one('spearman')}"


def _line(axis: Axes, pairs: pd.DataFrame, scores: pd.DataFrame) -> None:
    """SI-SNRi, the mean over the seeds, with their range."""
    place = np.arange(len(pairs)) + 0.5
    if scores.shape[1] > 1:
        low, high = scores.min(axis=1), scores.max(axis=1)
        axis.fill_between(place, low, high, color=OTHER, alpha=0.35, lw=0, label="all seeds")
    label = "mean of the seeds" if scores.shape[1] > 1 else "SI-SNRi"
    axis.plot(place, pairs["si_snri_db"], color=HARD, lw=1.8, label=label)
    top = float(pairs["si_snri_db"].max())
    for threshold in (t for t in _HSR_DB if t < top):
        axis.axhline(threshold, color=figures.GRID, lw=1, zorder=0)
    axis.set_ylabel("SI-SNRi (dB)", fontsize=9, color=TEXT)
    axis.legend(frameon=False, fontsize=8.5, loc="lower right")
    figures.plain(axis, left=True)


def _density(axis: Axes, values: np.ndarray) -> None:
    """How often a value comes among neighbouring mixtures, and its running median."""
    from scipy.ndimage import gaussian_filter

    place = np.flatnonzero(np.isfinite(values)) + 0.5
    defined = values[np.isfinite(values)]
    low, high = np.percentile(defined, (0, 99))
    low = 0.0 if 0 <= low < 0.3 * high else float(low)
    high = float(high) if high > low else low + 1.0
    columns = int(np.clip(len(values) // _PER_BIN, 8, 80))
    edges = np.linspace(0, len(values), columns + 1), np.linspace(low, high, _ROWS + 1)
    counts, _, _ = np.histogram2d(place, defined, edges)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    top = float(np.percentile(share[share > 0], 97))
    # A little blurred, so that the density of a few hundred mixtures can be seen.
    share = np.asarray(gaussian_filter(share, sigma=(0.8, 1.2), mode="nearest"))
    axis.pcolormesh(*edges, share.T, cmap="Blues", vmin=0, vmax=top, rasterized=True)
    width = max(9, len(defined) // 20)
    running = pd.Series(defined).rolling(width, center=True, min_periods=width // 2).median()
    axis.plot(place, running, color=HARD, lw=1.6, label=f"median of {width} neighbours")
    axis.set_ylim(low, high)
    axis.legend(frameon=False, fontsize=8.5, loc="upper left")
    figures.plain(axis, left=True)
