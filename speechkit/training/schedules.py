"""Learning rates of a step, from the step alone."""

from __future__ import annotations

import math
from collections.abc import Sequence


def learning_rate(step: int, total: int, peak: float, warmup: float = 0.05) -> float:
    """Linear warm-up over the first ``warmup`` of all steps, then a cosine to 1 % of ``peak``."""
    warm = max(1, int(total * warmup + 1e-9))
    if step < warm:
        return peak * (step + 1) / warm
    done = (step - warm) / max(1, total - warm)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def linear_rate(step: int, total: int, peak: float, warmup: float = 0.0) -> float:
    """Linear warm-up over the first ``warmup`` of all steps, then a line to 0."""
    warm = int(total * warmup + 1e-9)
    if step < warm:
        return peak * (step + 1) / warm
    return peak * max(0, total - step) / max(1, total - warm)


def halvings(values: Sequence[float], patience: int) -> int:
    """How often the rate was halved after epochs with these losses."""
    best, waited, count = math.inf, 0, 0
    for value in values:
        waited = 0 if value < best else waited + 1
        best = min(best, value)
        if waited >= patience > 0:
            waited, count = 0, count + 1
    return count
