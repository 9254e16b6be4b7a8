"""Losses of pronunciation scores: MSE, and score-balanced MSE (SB_num, SB_rank).

H. Do, Y. Kim and G. G. Lee, "Score-balanced Loss for Multi-aspect Pronunciation Assessment",
Interspeech 2023. They need PyTorch only and fit into any training loop:

    counts = {"word_stress": class_counts(labels, width=0.2, score_range=(0, 2))}
    loss = ScoreBalancedLoss(counts, beta=0.9)
    loss({"word_stress": predictions}, {"word_stress": labels}).backward()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from speechkit.pronunciation.config import RANGE, PronunciationConfig
from speechkit.stats import class_weights
from speechkit.stats.class_weights import class_counts as class_counts

OPTIONS = {
    "reduction": ("gopt", "sum"),
    "weighting": ("num", "rank"),
    "target": ("prediction", "label"),
    "class_rule": ("floor", "nearest"),
    "variant": ("paper", "code"),
    "mean_weight": ("free", "one"),
}


class MultiAspectMSE(nn.Module):
    """Mean squared error of several aspects.

    Aspects are named ``<level>_<what>`` (``phone_accuracy``, ``word_stress`` ...).

    Args:
        reduction: ``gopt`` adds up the levels, each the mean of its aspects (Gong et al.,
            ICASSP 2022: phone + mean of five utterance + mean of three word errors); ``sum``
            adds up all aspects (Do et al., Eq. 2, as it is written).

    Shape:
        predictions and labels of an aspect ``[*kept, ...]`` -> loss ``[*kept]``, where
        ``kept`` are the first ``keep`` dimensions (several models at once), none by default.
        Labels that are NaN, or where the mask is False, count nowhere.
    """

    def __init__(self, reduction: str = "gopt") -> None:
        super().__init__()
        _require(reduction=reduction)
        self.reduction = reduction

    def forward(
        self,
        predictions: Mapping[str, Tensor],
        labels: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        keep: int = 0,
    ) -> Tensor:
        """Loss of the aspects in ``predictions``; see the class for shapes.

        Raises:
            ValueError: an aspect has no labels, or there are no aspects.
        """
        if not predictions:
            raise ValueError("there are no predictions")
        terms = []
        for name, predicted in predictions.items():
            if name not in labels:
                raise ValueError(f"there are no labels of '{name}'")
            wanted = labels[name]
            if masks is not None and name in masks:
                wanted = wanted.masked_fill(~masks[name], float("nan"))
            terms.append(self.terms((name,), predicted[..., None], wanted[..., None], keep))
        return self.reduce(tuple(predictions), torch.cat(terms, dim=-1))

    def terms(
        self, names: Sequence[str], predictions: Tensor, labels: Tensor, keep: int = 0
    ) -> Tensor:
        """Mean (weighted) squared error of each aspect.

        Args:
            names: the A aspects of the last dimension.
            predictions: ``[*kept, ..., A]``.
            labels: of the same shape; NaN where there is none.
            keep: how many first dimensions are kept.

        Returns:
            ``[*kept, A]``; 0 for an aspect without labels.
        """
        given = ~labels.isnan()
        wanted = torch.where(given, labels, 0.0)
        error = (predictions - wanted).square()
        weight = self.weights(names, predictions, wanted)
        factor = given if weight is None else given * weight
        over = tuple(range(keep, predictions.ndim - 1))
        return (error * factor).sum(over) / given.sum(over).clamp(min=1)

    def weights(self, names: Sequence[str], predictions: Tensor, labels: Tensor) -> Tensor | None:
        """What the squared errors are multiplied by; None for one."""
        return None

    def reduce(self, names: Sequence[str], terms: Tensor) -> Tensor:
        """The loss ``[*kept]`` of the terms ``[*kept, A]`` of the aspects."""
        if self.reduction == "sum":
            return terms.sum(-1)
        levels = [name.partition("_")[0] for name in names]
        return (terms * terms.new_tensor([1 / levels.count(level) for level in levels])).sum(-1)


class ScoreBalancedLoss(MultiAspectMSE):
    """Squared errors weighted by how rare the score is.

    The weight comes from the class of the *prediction* and carries no gradient. With the n
    training labels of a class it is (1 - beta) / (1 - beta^n), or 1 where n = 0 (``num``,
    Eq. 1); or 1 / r, r being the rank of n among the C classes, ties averaged, over C
    (``rank``, Eq. 3). The text of section 3.2.2 contradicts itself on the direction of ranks;
    here the smallest class has rank 1, so that rare classes weigh most, as in section 3.2.1.

    Args:
        counts: aspect -> labels in each class ``[C]``, from :func:`class_counts`.
        weighting: ``num`` or ``rank``.
        beta: of ``num``, from 0 to below 1.
        target: whose class decides: the ``prediction``'s, or the ``label``'s (the ablation).
        class_rule: a score s + d belongs to the class s ``floor``: for 0 <= d < width, as in
            the paper, or ``nearest``: for -width / 2 <= d < width / 2. Scores outside the
            range belong to its outermost classes.
        variant: ``paper``, or ``code``: floating-point floor, and predictions that are not
            above 0 and at most the highest score take the first class's weight, as in the
            authors' public code (give counts of ``class_counts(..., variant="code")``).
        width: of a class.
        score_range: lowest and highest score.
        reduction: as for :class:`MultiAspectMSE`.
        mean_weight: ``free``, as published; or ``one``: the weights of an aspect are divided by
            their mean over its training labels, so that its loss keeps its size beside others.

    Raises:
        ValueError: an unknown option, or counts that are not of C classes.
    """

    tables: Tensor

    def __init__(
        self,
        counts: Mapping[str, Tensor],
        weighting: str = "num",
        beta: float = 0.9,
        target: str = "prediction",
        class_rule: str = "floor",
        variant: str = "paper",
        width: float = 0.2,
        score_range: tuple[float, float] = (0.0, 2.0),
        reduction: str = "gopt",
        mean_weight: str = "free",
    ) -> None:
        super().__init__(reduction)
        _require(mean_weight=mean_weight, weighting=weighting, target=target)
        _require(class_rule=class_rule, variant=variant)
        self.target, self.class_rule, self.variant = target, class_rule, variant
        self.width, self.score_range = width, score_range
        self.counts = {name: torch.as_tensor(c).double() for name, c in counts.items()}
        size = class_weights.class_number(width, score_range)
        for name, numbers in self.counts.items():
            if numbers.shape != (size,):
                raise ValueError(f"{name}: expected {size} counts, given {tuple(numbers.shape)}")
        tables = [
            class_weights.rank_weights(numbers)
            if weighting == "rank"
            else class_weights.effective_weights(numbers, beta)
            for numbers in self.counts.values()
        ]
        if mean_weight == "one":
            tables = [t / _mean(t, n) for t, n in zip(tables, self.counts.values(), strict=True)]
        stacked = torch.stack(tables) if tables else torch.zeros(0, size)
        self.register_buffer("tables", stacked.float(), persistent=False)

    def weights(self, names: Sequence[str], predictions: Tensor, labels: Tensor) -> Tensor:
        """Weights of scores ``[..., A]``, by the class of the prediction or the label.

        Raises:
            ValueError: an aspect without counts.
        """
        known = list(self.counts)
        for name in names:
            if name not in known:
                raise ValueError(f"there are no class counts of '{name}'")
        decides = labels if self.target == "label" else predictions.detach()
        how = (self.width, self.score_range, self.class_rule, self.variant)
        classes = class_weights.score_classes(decides, *how)
        first = [known.index(name) * self.tables.shape[1] for name in names]
        return self.tables.flatten()[classes + torch.tensor(first, device=classes.device)]


def _mean(weights: Tensor, counts: Tensor) -> Tensor:
    """Mean weight of the labels; 1 where there are none."""
    total = counts.sum()
    return (weights * counts).sum() / total if total > 0 else torch.ones(())


def status_loss(logits: Tensor, statuses: Tensor) -> Tensor:
    """Cross-entropy of what became of the phones' words, of each model.

    Args:
        logits: ``[S, N, 3]``.
        statuses: ``[S, N]``; -1 counts nowhere.

    Returns:
        ``[S]``.
    """
    known = statuses >= 0
    each = nn.functional.cross_entropy(
        logits.transpose(1, 2), statuses.clamp(min=0), reduction="none"
    )
    return (each * known).sum(1) / known.sum(1).clamp(min=1)


def _require(**given: str) -> None:
    for name, value in given.items():
        if value not in OPTIONS[name]:
            accepted = ", ".join(OPTIONS[name])
            raise ValueError(f"{name} must be one of {accepted}; given '{value}'")


def make_criterion(config: PronunciationConfig, labels: Mapping[str, Tensor]) -> MultiAspectMSE:
    """The loss, with the class counts of the training labels.

    Args:
        config: of the training.
        labels: aspect -> the labels that are counted.
    """
    if config.loss == "mse":
        return MultiAspectMSE(config.reduction)
    rule, variant = config.class_rule, config.variant
    counts = {
        aspect: class_counts(values, config.class_width, RANGE, rule, variant)
        for aspect, values in labels.items()
    }
    return ScoreBalancedLoss(
        counts,
        weighting="rank" if config.loss == "sb-rank" else "num",
        beta=config.beta,
        target="label" if config.loss == "sb-label" else "prediction",
        class_rule=rule,
        variant=variant,
        width=config.class_width,
        score_range=RANGE,
        reduction=config.reduction,
        mean_weight=config.mean_weight,
    )
