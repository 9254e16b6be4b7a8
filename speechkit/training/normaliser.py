"""Features brought to zero mean and unit variance, by what the training set has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speechkit.base.errors import require_choice

MODES = ("column", "scalar", "phone")
SHRINK = 10.0  # phones that the statistics of all phones count as, beside those of one phone
_SMALL = 1e-6


@dataclass(frozen=True)
class Normaliser:
    """Mean and standard deviation of each column, of all phones or of each.

    Args:
        mean: float32 ``[1, D]``, or ``[K, D]``, a row for each phone id.
        std: of the same shape.
    """

    mean: np.ndarray
    std: np.ndarray

    def __call__(self, features: np.ndarray, phones: np.ndarray) -> np.ndarray:
        """Normalised float32 features ``[N, D]`` of phones with these ids ``[N]``."""
        rows = phones if len(self.mean) > 1 else np.zeros_like(phones)
        return ((features - self.mean[rows]) / self.std[rows]).astype(np.float32)


def fit(features: np.ndarray, phones: np.ndarray, mode: str, symbols: int) -> Normaliser:
    """Statistics of a training set.

    Args:
        features: ``[N, D]``.
        phones: ids ``[N]``, below ``symbols``.
        mode: ``column``; ``scalar``: one mean and deviation of all values, as GOPT has it; or
            ``phone``: those of each canonical phone, shrunk towards those of all phones.
        symbols: K.
    """
    require_choice("normalise", mode, MODES)
    values = features.astype(np.float64)
    mean, variance = values.mean(0), values.var(0)
    if mode == "scalar":
        mean = np.full_like(mean, values.mean())
        variance = np.full_like(variance, values.var())
    if mode != "phone":
        return Normaliser(mean[None].astype(np.float32), _std(mean[None], variance[None]))
    means, variances = np.tile(mean, (symbols, 1)), np.tile(variance, (symbols, 1))
    for phone in np.unique(phones):
        own = values[phones == phone]
        share = len(own) / (len(own) + SHRINK)
        means[phone] = share * own.mean(0) + (1 - share) * mean
        variances[phone] = share * own.var(0) + (1 - share) * variance
    return Normaliser(means.astype(np.float32), _std(means, variances))


def _std(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Square root; 1 for a column that does not vary."""
    std = np.sqrt(variance)
    return np.where(std <= _SMALL * (1 + np.abs(mean)), 1.0, std).astype(np.float32)
