"""Statistics of mixtures under a bootstrap over their speakers.

Mixtures that share a speaker are not independent, so speakers are drawn, not mixtures: a
mixture counts as often as the product of how often each of its speakers was drawn (the
pigeonhole bootstrap: A. B. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics
1 (2), 2007, there for two crossed factors).
"""

from __future__ import annotations

import numpy as np

from speechkit.base.random_draws import rng

_STREAM = 0xB0  # of draws


def percentile(values: np.ndarray, weights: np.ndarray, percent: float) -> np.ndarray:
    """Percentile, by linear interpolation, of values that come several times.

    The same as ``np.percentile(np.repeat(values, w), percent)`` for each row ``w``.

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

    Args:
        drawn: how often each speaker was drawn, ``[B, speakers]``.
        members: speakers of each mixture, as positions ``[N, S]``.
    """
    weights = drawn[:, members].prod(axis=2).astype(np.float64)
    return weights[weights.sum(axis=1) > 0]
