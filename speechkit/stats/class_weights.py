"""Classes of scores, how many labels each has, and weights by how rare a class is.

The weights are those of Do, Kim and Lee, Interspeech 2023 (Eq. 1 and 3), and of Cui et al., CVPR
2019. The losses that take them: :mod:`speechkit.pronunciation.loss`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from speechkit.stats.score_metrics import class_places


def class_number(width: float = 0.2, score_range: tuple[float, float] = (0.0, 2.0)) -> int:
    """Number of classes of a score: both ends of the range are classes, so 11 by default.

    Raises:
        ValueError: the width does not divide the range.
    """
    low, high = score_range
    steps = (high - low) / width if width > 0 else 0.0
    if not (steps >= 1 and abs(steps - round(steps)) < 1e-6):
        raise ValueError(f"classes of width {width} do not divide the scores {low} to {high}")
    return round(steps) + 1


def score_classes(
    scores: Tensor,
    width: float = 0.2,
    score_range: tuple[float, float] = (0.0, 2.0),
    class_rule: str = "floor",
    variant: str = "paper",
) -> Tensor:
    """Class of each score, int64 of the same shape; see :class:`ScoreBalancedLoss`."""
    size = class_number(width, score_range)
    low, high = score_range
    if variant == "code":
        valid = (scores > low) & (scores <= high)
        return torch.where(valid, (scores - low) / width, 0.0).floor().long().clamp(0, size - 1)
    return class_places(scores, width, low, class_rule == "nearest").clamp(0, size - 1).long()


def class_counts(
    labels: Tensor,
    width: float = 0.2,
    score_range: tuple[float, float] = (0.0, 2.0),
    class_rule: str = "floor",
    variant: str = "paper",
) -> Tensor:
    """How many labels each class has, float64 ``[C]``; NaN is no label.

    With ``variant="code"`` the labels of a class are those of its largest value alone: the
    public code takes the classes of the different values by floating-point floor, and where
    two fall into one, the later count replaces the earlier.
    """
    given = labels[~labels.isnan()].flatten()
    size = class_number(width, score_range)
    if variant == "code":
        found = torch.zeros(size, dtype=torch.float64)
        values, numbers = torch.unique(given.float(), return_counts=True)
        places = ((values - score_range[0]) / width).long().clamp(0, size - 1)
        for place, number in zip(places.tolist(), numbers.tolist(), strict=True):
            found[place] = number
        return found
    classes = score_classes(given.double(), width, score_range, class_rule)
    return torch.bincount(classes.cpu(), minlength=size).double()


def effective_weights(counts: Tensor, beta: float) -> Tensor:
    """(1 - beta) / (1 - beta^n), and 1 where n is 0 (Eq. 1); float64.

    Raises:
        ValueError: beta is not from 0 to below 1.
    """
    if not 0 <= beta < 1:
        raise ValueError(f"beta must be from 0 to below 1, given {beta}")
    n = counts.double()
    return torch.where(n > 0, (1 - beta) / (1 - beta ** n.clamp(min=1)), 1.0)


def rank_weights(counts: Tensor) -> Tensor:
    """1 / r, r being the rank of a class's size, ties averaged, over the classes (Eq. 3).

    Of the sizes 90, 5 and 5 the ranks are 3, 1.5 and 1.5; over 3 classes the weights 1, 2 and 2.
    """
    from scipy.stats import rankdata  # takes long to import

    return len(counts) / torch.from_numpy(rankdata(counts.cpu())).to(counts.device)
