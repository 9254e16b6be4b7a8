"""How far raters agree: each against the mean of the others.

Lin and Wang (Interspeech 2021), section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechkit.labels.score_files import rated, read_raters
from speechkit.stats.score_metrics import pcc


@dataclass(frozen=True)
class InterRater:
    """Agreement in one score.

    Args:
        mean: of the raters' correlations that are defined; None if none is.
        raters: rater -> correlation with the mean of the others, over the utterances that the
            rater and at least one other scored; None where it is undefined.
        utterances: that two raters or more scored.
    """

    mean: float | None
    raters: dict[str, float | None]
    utterances: int


def inter_rater(folder: Path) -> dict[str, InterRater]:
    """Score -> agreement of a set, ``data/<set>``; empty where it has no ``rater_scores.tsv``.

    Raises:
        DataError: the table is damaged.
    """
    scores = read_raters(folder)
    names = sorted({rater for of in scores.values() for rater in of})
    found = {}
    for target in rated(scores):
        matrix = np.array(
            [[of.get(n, {}).get(target, np.nan) for of in scores.values()] for n in names]
        )
        found[target] = _agreement(names, matrix)
    return found


def _agreement(names: list[str], scores: np.ndarray) -> InterRater:
    """Of scores ``[R, U]``; NaN: not scored."""
    count = (~np.isnan(scores)).sum(axis=0)
    total = np.nansum(scores, axis=0)
    raters: dict[str, float | None] = {}
    for name, own in zip(names, scores, strict=True):
        both = ~np.isnan(own) & (count > 1)
        others = (total[both] - own[both]) / (count[both] - 1)
        value = float(pcc(others, own[both])) if both.sum() > 1 else np.nan
        raters[name] = None if np.isnan(value) else value
    defined = [value for value in raters.values() if value is not None]
    mean = sum(defined) / len(defined) if defined else None
    return InterRater(mean, raters, int((count > 1).sum()))
