"""Random draws that depend on what they are for, never on how far a worker has come."""

from __future__ import annotations

import numpy as np


def rng(seed: int, *keys: int) -> np.random.Generator:
    """A generator for one purpose: ``rng(seed, epoch, index)`` always draws the same.

    Args:
        seed: the run's ``seed``.
        keys: what the draw is for (epoch, sample index, a stream number).
    """
    return np.random.default_rng(np.random.SeedSequence([seed, *keys]))
