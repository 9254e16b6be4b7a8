"""The configuration of ``train pronunciation``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from speechkit.base.errors import ConfigError, UserError, require_choice
from speechkit.labels.scores import ASPECTS
from speechkit.pronunciation.loss import (
    CLASS_RULES,
    REDUCTIONS,
    VARIANTS,
    MultiAspectMSE,
    ScoreBalancedLoss,
    class_counts,
    class_number,
)
from speechkit.pronunciation.models import ModelConfig
from speechkit.task.paper import NO_EFFECT
from speechkit.training.normaliser import MODES

LOSSES = ("mse", "sb-num", "sb-rank", "sb-label")
LAST = "last"
RANGE = (0.0, 2.0)


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides which models come out; the defaults are the paper's.

    Args:
        set_name: the set to learn from.
        gop: suffixes of its folders of features (and of those of other sets).
        normalise: column, scalar or phone.
        model: gopt or lstm.
        aspects: what is predicted.
        width, depth, heads, dropout: of the model.
        loss: mse, sb-num, sb-rank, or sb-label (sb-num by the class of the label).
        beta: of sb-num and sb-label.
        class_rule, variant, class_width: of the classes, see ``ScoreBalancedLoss``.
        reduction: gopt or sum.
        epochs: passes over the set.
        batch_size: windows (utterances of up to 50 phones) of a step.
        learning_rate: of Adam, after the warm-up.
        beta1, beta2: of Adam.
        weight_decay: of Adam (L2).
        warm_up: steps in which the rate rises.
        halve_from: epochs before the rate is first halved; 0: never.
        halve_every: epochs between halvings.
        select: ``last`` epoch, or a set whose mean PCC chooses the epoch.
        track: a set that is measured after every epoch, for the log alone; or empty.
    """

    set_name: str = field(default="train", metadata=NO_EFFECT)
    gop: tuple[str, ...] = field(default=("",), metadata=NO_EFFECT)
    normalise: str = "column"
    model: str = "gopt"
    aspects: tuple[str, ...] = ASPECTS
    width: int = 24
    depth: int = 3
    heads: int = 1
    dropout: float = 0.0
    loss: str = "mse"
    beta: float = 0.9
    class_rule: str = "floor"
    variant: str = "paper"
    class_width: float = 0.2
    reduction: str = "gopt"
    epochs: int = 100
    batch_size: int = 25
    learning_rate: float = 1e-3
    beta1: float = 0.95
    beta2: float = 0.999
    weight_decay: float = 5e-7
    warm_up: int = 100
    halve_from: int = 20
    halve_every: int = 5
    select: str = LAST
    track: str = field(default="", metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        # In the order of ASPECTS; check() names unknown ones.
        places = {aspect: place for place, aspect in enumerate(ASPECTS)}
        ordered = sorted(set(self.aspects), key=lambda a: places.get(a, len(places)))
        object.__setattr__(self, "aspects", tuple(ordered))

    def check(self) -> None:
        """Raises UserError for impossible values."""
        for flag, value, choices in (
            ("loss", self.loss, LOSSES),
            ("normalise", self.normalise, MODES),
            ("class_rule", self.class_rule, CLASS_RULES),
            ("variant", self.variant, VARIANTS),
            ("reduction", self.reduction, REDUCTIONS),
        ):
            require_choice(flag, value, choices)
        self.network(1).check()
        if not 0 <= self.beta < 1:
            raise ConfigError("beta", f"{self.beta} is not from 0 to below 1.")
        try:
            class_number(self.class_width, RANGE)
        except ValueError as error:
            raise ConfigError(
                "class_width", f"{self.class_width}: {error}.", "Scores go from 0 to 2 here."
            ) from error
        if min(self.epochs, self.batch_size, self.halve_every) < 1:
            raise UserError(
                f"`epochs` {self.epochs}, `batch_size` {self.batch_size} and `halve_every` "
                f"{self.halve_every} must be 1 or more."
            )
        if min(self.warm_up, self.halve_from) < 0:
            raise UserError("`warm_up` and `halve_from` must not be negative.")
        if not 0 < self.learning_rate < math.inf or not 0 <= self.weight_decay < math.inf:
            raise UserError(
                f"`learning_rate` {self.learning_rate} must be positive, `weight_decay` "
                f"{self.weight_decay} not negative."
            )
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise UserError(f"`beta1` {self.beta1}, `beta2` {self.beta2}: not from 0 to below 1.")
        if len(set(self.gop)) < len(self.gop):
            raise ConfigError("gop", f"names a folder twice: {', '.join(self.gop)}.")

    def network(self, inputs: int) -> ModelConfig:
        """Shape of the model for features of ``inputs`` columns."""
        return ModelConfig(
            inputs, self.model, self.aspects, self.width, self.depth, self.heads, self.dropout
        )

    def rate(self, epoch: int, step: int) -> float:
        """Learning rate of a step (counted over all epochs) of an epoch, both from 0."""
        rate = self.learning_rate
        if step < self.warm_up:
            rate *= (step + 1) / self.warm_up
        if 0 < self.halve_from <= epoch:
            rate *= 0.5 ** ((epoch - self.halve_from) // self.halve_every + 1)
        return rate

    def criterion(self, labels: Mapping[str, torch.Tensor]) -> MultiAspectMSE:
        """The loss, with the class counts of the training labels.

        Args:
            labels: aspect -> the labels that are counted.
        """
        if self.loss == "mse":
            return MultiAspectMSE(self.reduction)
        rule, variant = self.class_rule, self.variant
        counts = {
            aspect: class_counts(values, self.class_width, RANGE, rule, variant)
            for aspect, values in labels.items()
        }
        return ScoreBalancedLoss(
            counts,
            weighting="rank" if self.loss == "sb-rank" else "num",
            beta=self.beta,
            target="label" if self.loss == "sb-label" else "prediction",
            class_rule=rule,
            variant=variant,
            width=self.class_width,
            score_range=RANGE,
            reduction=self.reduction,
        )

    def params(self) -> dict[str, Any]:
        """For the manifest: plain values."""
        return asdict(self)
