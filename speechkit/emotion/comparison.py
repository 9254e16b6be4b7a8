"""The difference between two evaluations on the same clips, with an interval over speakers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speechkit.emotion import metrics
from speechkit.emotion.results import LEVEL, SAMPLES, Predictions
from speechkit.stats.bootstrap import draw_speakers


@dataclass(frozen=True)
class Difference:
    """What the second evaluation has more than the first.

    Args:
        first: the measure of the first one.
        second: of the second one.
        low: lower end of the 95 % interval of second - first; None for one speaker.
        high: its upper end.
        clips: that both tested.
    """

    first: float
    second: float
    low: float | None
    high: float | None
    clips: int

    @property
    def gap(self) -> float:
        return self.second - self.first


def compare(first: Predictions, second: Predictions, seed: int = 0) -> dict[str, Difference]:
    """Differences in accuracy and UAR on the clips that both tested; none if there are none.

    The share of seeds (and folds) that were right on a clip is what counts; speakers are drawn
    for both at once, training is not resampled.

    Args:
        first: of one model or protocol.
        second: of the other; of the same classes.
        seed: of the draw.
    """
    shares = [_right(each) for each in (first, second)]
    common = sorted(set(shares[0]) & set(shares[1]))
    if not common or first.classes != second.classes:
        return {}
    targets = {str(u): t for u, t in zip(first.utterances, first.targets, strict=True)}
    speakers = {str(u): str(s) for u, s in zip(first.utterances, first.speakers, strict=True)}
    names, members = np.unique([speakers[u] for u in common], return_inverse=True)
    drawn = draw_speakers(len(names), SAMPLES, seed)
    every = np.ones((1, len(names)), np.int64)
    wanted = np.array([targets[u] for u in common])
    found: list[list[dict[str, np.ndarray]]] = [
        [
            metrics.bootstrap(
                wanted, np.array([share[u] for u in common]), members, draws, len(first.classes)
            )
            for draws in (every, drawn)
        ]
        for share in shares
    ]
    edges = ((100 - LEVEL) / 2, (100 + LEVEL) / 2)
    differences = {}
    for name in ("accuracy", "uar"):
        (one, ones), (other, others) = ((each[0][name], each[1][name]) for each in found)
        low = high = None
        if len(names) > 1:
            low, high = (float(v) for v in np.percentile(others - ones, edges))
        differences[name] = Difference(float(one[0]), float(other[0]), low, high, len(common))
    return differences


def _right(found: Predictions) -> dict[str, float]:
    """Utterance -> share of its rows that are right."""
    ids, place = np.unique(found.utterances.astype(str), return_inverse=True)
    hit = (found.predicted == found.targets).astype(np.float64)
    share = np.bincount(place, hit) / np.bincount(place)
    return dict(zip(ids.tolist(), share.tolist(), strict=True))
