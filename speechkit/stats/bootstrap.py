"""Statistics under a bootstrap over speakers.

Items of one speaker are not independent, so speakers are drawn, with all their items. A
correlation needs of each speaker only six sums: n, and those of x, y, x^2, y^2 and x y.

A mixture has several speakers: it counts as often as the product of how often each of them was
drawn (the pigeonhole bootstrap: A. B. Owen, "The pigeonhole bootstrap", Annals of Applied
Statistics 1 (2), 2007, there for two crossed factors).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from speechkit.base.random_draws import rng

_STREAM = 0xB0  # of draws
LEVELS = (2.5, 97.5)
Statistic = Callable[[np.ndarray], np.ndarray]
Interval = tuple["float | None", "float | None"]


def percentile(values: np.ndarray, weights: np.ndarray, percent: float) -> np.ndarray:
    """Percentile, by linear interpolation, of values that come several times.

    The same as ``np.percentile(np.repeat(values, w), percent)`` for each row ``w``: the values
    1, 5 and 9 with the row 2, 0, 1 are the list 1, 1, 9, whose median is 1.

    Args:
        values: ``[N]``.
        weights: whole numbers ``[B, N]``, no row all zero.
        percent: 0 to 100.

    Returns:
        ``[B]``.
    """
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    upto = np.cumsum(weights[:, order], axis=1)
    last = upto[:, -1] - 1
    place = last * (percent / 100)
    below = np.floor(place)

    def at(index: np.ndarray) -> np.ndarray:
        return ranked[(upto <= index[:, None]).sum(axis=1)]

    low, high = at(below), at(np.minimum(below + 1, last))
    return low + (place - below) * (high - low)


def draw_speakers(speakers: int, samples: int, seed: int) -> np.ndarray:
    """How often each speaker is drawn: ``[samples, speakers]``, rows sum to ``speakers``."""
    draw = rng(seed, _STREAM)
    drawn = draw.integers(speakers, size=(samples, speakers))
    cells = drawn + speakers * np.arange(samples)[:, None]
    return np.bincount(cells.ravel(), minlength=samples * speakers).reshape(samples, speakers)


def mixture_weights(drawn: np.ndarray, members: np.ndarray) -> np.ndarray:
    """How often each mixture comes, ``[B', N]``; draws in which none comes are left out.

    Where speaker a is drawn twice, b once and c not at all, a mixture of a and b comes twice, one
    of a and c never.

    Args:
        drawn: how often each speaker was drawn, ``[B, speakers]``.
        members: speakers of each mixture, as positions ``[N, S]``.
    """
    weights = drawn[:, members].prod(axis=2).astype(np.float64)
    return weights[weights.sum(axis=1) > 0]


def moments(
    predictions: np.ndarray, labels: np.ndarray, speakers: np.ndarray, count: int
) -> np.ndarray:
    """Sums of each speaker, float64 ``[S, count, 6]``.

    Args:
        predictions: ``[S, n]``.
        labels: ``[n]``; NaN is left out.
        speakers: of each item, 0 to ``count - 1``.
    """
    given = ~np.isnan(labels)
    x, y, who = predictions[:, given], labels[given].astype(np.float64), speakers[given]
    middle = y.mean() if len(y) else 0.0  # small numbers lose no digits
    x, y = x - middle, np.broadcast_to(y - middle, x.shape)
    parts = (np.ones_like(x), x, y, x * x, y * y, x * y)
    return np.stack(
        [
            np.stack([np.bincount(who, row, count) for row in part]).reshape(len(x), count)
            for part in parts
        ],
        axis=-1,
    )


def pcc_of(sums: np.ndarray) -> np.ndarray:
    """Correlations ``[...]`` of sums ``[..., 6]``; NaN where undefined."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = (xx - x * x / n) * (yy - y * y / n)
        found = (xy - x * y / n) / np.sqrt(spread)
        return np.where(spread > 1e-16 * n * n, found, np.nan)


def mse_of(sums: np.ndarray) -> np.ndarray:
    """Mean squared errors ``[...]`` of sums ``[..., 6]``."""
    n, _, _, xx, yy, xy = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (xx - 2 * xy + yy) / n


def interval(sampled: np.ndarray) -> Interval:
    """95 % interval of the mean over seeds.

    Args:
        sampled: the statistic of each draw and seed ``[B, S]``; NaN where undefined.

    Returns:
        (None, None) where fewer than half of the draws have a value.
    """
    defined = ~np.isnan(sampled).any(axis=1)
    if defined.mean() < 0.5:
        return None, None
    low, high = np.percentile(sampled[defined].mean(axis=1), LEVELS)
    return float(low), float(high)


def sample(statistic: Statistic, sums: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The statistic of every draw ``[B, S]`` from sums of each speaker ``[S, K, 6]``."""
    return statistic(np.einsum("bk,skm->bsm", drawn.astype(np.float64), sums))


def paired(
    statistic: Statistic, own: np.ndarray, base: np.ndarray, drawn: np.ndarray
) -> dict[str, Any]:
    """A statistic minus that of a baseline on the same items, speakers drawn for both at once.

    Args:
        own: sums ``[S, K, 6]`` of S seeds.
        base: the same of the baseline, for the same seeds.

    Returns:
        The numbers of :func:`entry`.
    """
    value, baseline = (statistic(one.sum(axis=1)) for one in (own, base))
    sampled = sample(statistic, own, drawn) - sample(statistic, base, drawn)
    return entry(value, baseline, value - baseline, interval(sampled))


def entry(
    value: np.ndarray | None,
    baseline: np.ndarray | None,
    each: np.ndarray,
    interval: Interval,
) -> dict[str, Any]:
    """What a comparison says of one measure.

    Args:
        value: of the experiment, by seed ``[K]``; None where only the difference has a meaning.
        baseline: of the baseline ``[K]``.
        each: the difference ``[K]``.
        interval: its 95 % interval over speakers; the seeds are fixed.
    """
    return {
        "baseline": None if baseline is None else rounded(baseline.mean()),
        "value": None if value is None else rounded(value.mean()),
        "estimate": rounded(each.mean()),
        "low": rounded(interval[0]),
        "high": rounded(interval[1]),
        "seed_std": rounded(each.std(ddof=1)) if len(each) > 1 else None,
        "per_seed": [rounded(one) for one in each],
        "seeds": len(each),
    }


def rounded(value: float | None) -> float | None:
    """To 12 digits, as summing in another order leaves 1e-16; None where undefined."""
    return None if value is None or np.isnan(value) else round(float(value), 12) + 0.0
