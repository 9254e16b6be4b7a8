"""Mean weights of the score-balanced loss by beta: Table 3 of Do et al."""

from __future__ import annotations

import torch

from speechkit.base.errors import UserError
from speechkit.labels.score_files import read_scores
from speechkit.pronunciation.paper import BETA_AVERAGES
from speechkit.stats.score_classes import class_counts, effective_weights
from speechkit.workdir import WorkDir

COLUMNS = ("beta", "mean of 11 classes", "with an empty twelfth", "paper")


def average_weights(work: WorkDir, set_name: str, aspect: str = "phone_accuracy") -> list[list]:
    """Rows of :data:`COLUMNS` for the betas of the paper.

    The published averages are those over the 11 classes and a twelfth without labels, whose
    weight is 1.

    Raises:
        UserError: the set has no scores of the aspect.
    """
    scores = read_scores(work.data(set_name))
    low, high = scores.scales[aspect.partition("_")[0]][aspect.partition("_")[2]]
    values = (torch.from_numpy(scores.values(aspect)) - low) / (high - low) * 2
    if not len(values):
        raise UserError(f"'{set_name}' has no scores of {aspect}.")
    counts = class_counts(values)
    rows: list[list] = []
    for beta, paper in BETA_AVERAGES.items():
        weights = effective_weights(counts, beta)
        twelve = (float(weights.sum()) + 1) / (len(weights) + 1)
        rows.append([beta, float(weights.mean()), twelve, paper])
    return rows
