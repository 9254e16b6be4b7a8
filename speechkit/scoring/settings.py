"""The configuration of ``train scoring``."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from speechkit.base.errors import ConfigError, UserError, closest, require_choice
from speechkit.scoring import models
from speechkit.scoring.data import TARGETS, Inputs
from speechkit.scoring.models import ScorerConfig
from speechkit.task.paper import NO_EFFECT
from speechkit.training.config import learning_rate

TREES = "trees"
KINDS = (*models.KINDS, TREES)
NONE, FROZEN, UNFROZEN = "none", "frozen", "unfrozen"
MODES = (NONE, FROZEN, UNFROZEN)
PRETRAIN, FINETUNE = "pretrain", "finetune"
LAST = "last"
DEFAULT_INPUT = {"attention": "deep", "mean": "deep", "blstm": "gop", TREES: "gop"}


@dataclass(frozen=True)
class ScoringConfig:
    """Everything that decides which models come out.

    Args:
        set_name: the set with the scores of people.
        target: which score of an utterance.
        input: deep, gop, stp-gop or gop-vector; empty: deep, gop for blstm and trees.
        features: suffix of the folders of features (of all sets).
        model: attention, mean, blstm or trees.
        pretrain: the acoustic model in pre-training on synthetic scores: ``frozen`` or
            ``unfrozen`` (updated too); ``none``: no pre-training.
        pretrain_set: the set with synthetic scores.
        synthetic: suffix of ``exp/synthetic/<pretrain_set>``.
        finetune: the same for the training on scores of people.
        init: an experiment whose seeds are where training starts, instead of pre-training.
        labelled: so many utterances of the set are learned from, drawn by each seed; 0: all.
        epochs: of fine-tuning with a frozen acoustic model.
        pretrain_epochs: of pre-training with a frozen acoustic model.
        batch_size: utterances of a step.
        learning_rate: of AdamW in fine-tuning: the peak, after a short warm-up and before half
            a cosine.
        pretrain_learning_rate: the same in pre-training.
        weight_decay: of AdamW.
        dropout: of the representations of phones and words.
        width, heads: of the model.
        select: ``last`` epoch, or a set whose PCC chooses the epoch.
        track: a set that is measured after every epoch, for the log alone; or empty.
        joint_epochs: of a stage that is unfrozen.
        joint_learning_rate: of the acoustic model in such a stage.
        clip: largest L2 norm of the gradient in such a stage.
        precision: of the acoustic model in such a stage.
    """

    set_name: str = field(default="train", metadata=NO_EFFECT)
    target: str = "total"
    input: str = ""
    features: str = field(default="", metadata=NO_EFFECT)
    model: str = "attention"
    pretrain: str = NONE
    pretrain_set: str = field(default="", metadata=NO_EFFECT)
    synthetic: str = field(default="", metadata=NO_EFFECT)
    finetune: str = FROZEN
    init: str = ""
    labelled: int = 0
    epochs: int = 15
    pretrain_epochs: int = 15
    batch_size: int = 16
    learning_rate: float = 2e-3
    pretrain_learning_rate: float = 2e-3
    weight_decay: float = 0.01
    dropout: float = 0.3
    width: int = 32
    heads: int = 4
    select: str = LAST
    track: str = field(default="", metadata=NO_EFFECT)
    joint_epochs: int = 10
    joint_learning_rate: float = 1e-4
    clip: float = 5.0
    precision: str = "auto"

    def __post_init__(self) -> None:
        if not self.input:
            object.__setattr__(self, "input", DEFAULT_INPUT.get(self.model, "deep"))

    def check(self) -> None:
        """Raises UserError for impossible values."""
        require_choice("model", self.model, KINDS)
        require_choice("pretrain", self.pretrain, MODES)
        require_choice("finetune", self.finetune, MODES)
        if self.target not in TARGETS:
            raise UserError(
                f"`target` '{self.target}' is no score of an utterance."
                f"{closest(self.target, TARGETS)}",
                f"Accepted: {', '.join(TARGETS)}.",
            )
        Inputs(self.input)
        self._check_stages()
        if self.model == TREES:
            self._check_trees()
        else:
            self.network(1).check()
        self._check_numbers()

    def _check_stages(self) -> None:
        """Stages that contradict each other."""
        for problem, remedy in (
            (
                self.pretrain != NONE and not self.pretrain_set and "`pretrain` needs a set.",
                "Name the set with synthetic scores with `pretrain_set`.",
            ),
            (
                self.pretrain == NONE
                and (self.pretrain_set or self.synthetic)
                and "`pretrain_set` and `synthetic` are of pre-training, which is off.",
                "Give `pretrain` frozen or unfrozen too.",
            ),
            (
                self.init and self.pretrain != NONE and "`init` and `pretrain` exclude each other.",
                "`init` starts from an experiment that was trained already.",
            ),
            (
                self.pretrain == self.finetune == NONE and "There is nothing to train.",
                "Give `pretrain` or `finetune` another value than none.",
            ),
            (
                self.finetune == NONE and self.labelled and "`labelled` is of fine-tuning.",
                "Leave it out, or give `finetune` frozen.",
            ),
            (
                UNFROZEN in (self.pretrain, self.finetune)
                and self.input != "deep"
                and f"An acoustic model can be updated with deep features only, not {self.input}.",
                "Take `input` deep, or frozen instead of unfrozen.",
            ),
        ):
            if problem:
                raise UserError(str(problem), remedy)

    def _check_trees(self) -> None:
        if self.input != "gop" or self.pretrain != NONE or self.init or self.finetune != FROZEN:
            raise UserError(
                "Trees read scalar GOP and are grown once, on the scores of people.",
                "With `model` trees leave `input`, `pretrain`, `finetune` and `init` out.",
            )
        if self.select != LAST:
            raise UserError(
                "Trees have no epochs that `select` could choose from.", "Take `track`."
            )

    def _check_numbers(self) -> None:
        least = min(self.epochs, self.pretrain_epochs, self.joint_epochs, self.batch_size)
        if least < 1:
            raise UserError(
                f"`epochs` {self.epochs}, `pretrain_epochs` {self.pretrain_epochs}, `joint_epochs` "
                f"{self.joint_epochs} and `batch_size` {self.batch_size} must be 1 or more."
            )
        rates = (self.learning_rate, self.pretrain_learning_rate, self.joint_learning_rate)
        if not (min(rates) > 0 and max(rates) < math.inf and self.clip > 0):
            raise UserError(
                f"`learning_rate` {rates[0]}, `pretrain_learning_rate` {rates[1]}, "
                f"`joint_learning_rate` {rates[2]} and `clip` {self.clip} must be positive."
            )
        if not 0 <= self.weight_decay < math.inf:
            raise ConfigError("weight_decay", f"{self.weight_decay} must not be negative.")
        if self.labelled < 0 or self.labelled == 1:
            raise ConfigError("labelled", f"{self.labelled} is too few.", "Give 2 or more; 0: all.")

    @property
    def inputs(self) -> Inputs:
        """What is read of a phone."""
        return Inputs(self.input, self.features)

    @property
    def stages(self) -> list[Stage]:
        """What is trained, in this order."""
        found = []
        for name, mode, set_name, epochs, rate in (
            (
                PRETRAIN,
                self.pretrain,
                self.pretrain_set,
                self.pretrain_epochs,
                self.pretrain_learning_rate,
            ),
            (FINETUNE, self.finetune, self.set_name, self.epochs, self.learning_rate),
        ):
            joint = mode == UNFROZEN
            synthetic = self.synthetic if name == PRETRAIN else None
            if mode != NONE:
                epochs = self.joint_epochs if joint else epochs
                found.append(Stage(name, joint, set_name, synthetic, epochs, rate))
        return found

    def network(self, inputs: int) -> ScorerConfig:
        """Shape of the model for ``inputs`` features of a phone."""
        return ScorerConfig(inputs, self.model, self.width, self.heads, self.dropout)

    def params(self) -> dict[str, Any]:
        """For the manifest: plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Stage:
    """One training.

    Args:
        name: ``pretrain`` or ``finetune``.
        joint: the acoustic model is updated too.
        set_name: what is learned from.
        synthetic: suffix of its synthetic scores; None: those of people.
        epochs: over the set.
        learning_rate: of the scorer.
    """

    name: str
    joint: bool
    set_name: str
    synthetic: str | None
    epochs: int
    learning_rate: float


@dataclass(frozen=True)
class Plan:
    """How a stage with a frozen acoustic model is trained.

    Args:
        epochs: over the utterances.
        batch_size: utterances of a step.
        learning_rate: the peak.
        weight_decay: of AdamW.
        steps: of all epochs.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    steps: int

    def rate(self, epoch: int, step: int) -> float:
        """Learning rate of a step (counted over all epochs): warm-up, then half a cosine."""
        return learning_rate(step, self.steps, self.learning_rate)
