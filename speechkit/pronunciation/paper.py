"""Published results on speechocean762's test set, to stand beside our own.

H. Do, Y. Kim and G. G. Lee, "Score-balanced Loss for Multi-aspect Pronunciation Assessment",
Interspeech 2023, Tables 1 to 3: mean and standard deviation of five runs, features of a Kaldi
model trained on 960 h of LibriSpeech, all 2,500 training and 2,500 test utterances. Other systems
as their authors published them, without spread.
"""

from __future__ import annotations

from speechkit.base.errors import UserError
from speechkit.labels.score_files import read_scores
from speechkit.labels.scores import ASPECTS
from speechkit.pronunciation.config import PronunciationConfig
from speechkit.task.paper import PublishedRow
from speechkit.workdir import WorkDir

SOURCE = "Do et al., Score-balanced loss for multi-aspect pronunciation assessment"
CORPUS, BETA = "speechocean762", 0.9
MEASURES = ("phone_accuracy_mse", *(f"{aspect}_pcc" for aspect in ASPECTS))
"""Columns of Tables 1 and 2, by their names in ``summary.json``."""

BETA_AVERAGES = {0.5: 0.542, 0.8: 0.267, 0.9: 0.175, 0.99: 0.095, 0.999: 0.088}
"""Table 3: average weight over the classes of phone accuracy. They are (sum over 11 classes + 1)
/ 12, that is, with an empty twelfth class."""
BETA_COLUMNS = ("beta", "mean of 11 classes", "with an empty twelfth", "paper")

LOWEST = {
    "word_stress": {"mse": 1.67, "sb-num": 1.58},
    "utterance_completeness": {"mse": 1.90, "sb-num": 1.69},
}
"""Section 5.3: the lowest prediction of an aspect by the loss that GOPT was trained with."""

FACTS = {
    "features": "GOP of Kaldi's model of 960 h of LibriSpeech",
    "trained on": f"{CORPUS}, 2500 utterances",
    "tested on": f"{CORPUS}, 2500 utterances",
    "seeds": 5,
}
"""What decides the results beside the configuration."""


def _row(table: str, name: str, model: str, loss: str, means: str, stds: str = "") -> PublishedRow:
    spread = stds.split() or [""] * len(MEASURES)
    values = {
        measure: (float(mean), float(std) if std else None)
        for measure, mean, std in zip(MEASURES, means.split(), spread, strict=True)
        if mean != "-"
    }
    config = PronunciationConfig(model=model, loss=loss, beta=BETA) if model else None
    return PublishedRow(table, name, config, values, FACTS)


ROWS = (
    _row(
        *("1", "LSTM", "lstm", "mse"),
        "0.089 0.587 0.511 0.297 0.524 0.717 0.123 0.741 0.744 0.743",
        "0.002 0.014 0.014 0.012 0.011 0.004 0.143 0.01 0.006 0.006",
    ),
    _row(
        *("1", "GOPT (Gong et al.)", "gopt", "mse"),
        "0.085 0.612 0.533 0.291 0.549 0.714 0.155 0.753 0.760 0.742",
        "0.001 0.003 0.004 0.030 0.002 0.004 0.039 0.008 0.006 0.005",
    ),
    _row(
        *("1", "GOPT, their own run", "gopt", "mse"),
        "0.086 0.609 0.526 0.272 0.543 0.717 0.134 0.755 0.756 0.739",
        "0.001 0.003 0.004 0.048 0.005 0.006 0.197 0.006 0.003 0.004",
    ),
    _row(
        *("1, 2", "+ SB_num", "gopt", "sb-num"),
        "0.086 0.605 0.531 0.386 0.547 0.722 0.427 0.750 0.752 0.747",
        "0.001 0.006 0.005 0.015 0.005 0.004 0.101 0.013 0.007 0.002",
    ),
    _row(
        *("1", "+ SB_rank", "gopt", "sb-rank"),
        "0.086 0.605 0.529 0.341 0.544 0.717 0.335 0.750 0.745 0.743",
        "0.001 0.003 0.004 0.036 0.002 0.007 0.235 0.005 0.015 0.007",
    ),
    _row(
        *("2", "+ SB_num (no pred)", "gopt", "sb-label"),
        "0.085 0.611 0.534 0.293 0.549 0.717 0.218 0.760 0.758 0.745",
        "0.000 0.002 0.006 0.031 0.004 0.006 0.097 0.007 0.011 0.006",
    ),
)

OTHERS = (
    _row("", "HiPAMA", "", "", "0.084 0.616 0.575 0.320 0.591 0.730 0.276 0.749 0.751 0.754"),
    _row("", "3M", "", "", "0.078 0.656 0.598 0.289 0.617 0.760 0.325 0.828 0.827 0.796"),
    _row(
        *("", "HierCB+ConPCO", "", ""),
        "0.071 0.701 0.669 0.437 0.682 0.780 0.749 0.830 0.823 0.803",
    ),
    _row("", "HMamba", "", "", "0.062 0.739 0.708 0.366 0.718 0.807 0.278 0.848 0.843 0.829"),
    _row("", "Azure", "", "", "- - 0.623 - - 0.700 0.258 0.715 0.842 0.782"),
)  # fmt: skip


def find(model: str, loss: str) -> PublishedRow | None:
    """The row that an experiment answers to: that of its model and loss (the paper's own run)."""
    found = [row for row in ROWS if (row.config.model, row.config.loss) == (model, loss)]
    return found[-1] if found else None


def average_weights(work: WorkDir, set_name: str, aspect: str = "phone_accuracy") -> list[list]:
    """Rows of :data:`BETA_COLUMNS` for the betas of the paper.

    The published averages are those over the 11 classes and a twelfth without labels, whose
    weight is 1.

    Raises:
        UserError: the set has no scores of the aspect.
    """
    import torch

    from speechkit.stats.class_weights import class_counts, effective_weights

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
