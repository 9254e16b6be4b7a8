"""Random pairs of utterances, as the summary and the figure count them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Drawn:
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


def combination_names(label: np.ndarray, drawn: Drawn) -> np.ndarray:
    """``a-b`` for each pair, the two labels in alphabetical order."""
    a, b = label[drawn.i], label[drawn.j]
    return np.char.add(np.char.add(np.where(a < b, a, b), "-"), np.where(a < b, b, a))
