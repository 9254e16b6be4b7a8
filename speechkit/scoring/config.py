"""Configurations of transfer scoring: the scorer's shape, its inputs, its training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from speechkit.base.config import Count, Flag, NotNegative, OneOf, Positive, check_fields
from speechkit.base.errors import ConfigError, UserError, command_line, require_choice
from speechkit.base.schema import Share, Width
from speechkit.labels.scores import LEVELS
from speechkit.task.paper import NO_EFFECT

if TYPE_CHECKING:
    from speechkit.workdir import WorkDir

TARGETS = LEVELS["utterance"]
INPUTS = ("deep", "gop", "stp-gop", "gop-vector")
NETWORKS, TREES = ("attention", "mean", "blstm"), "trees"
KINDS = (*NETWORKS, TREES)
NONE, FROZEN, UNFROZEN = "none", "frozen", "unfrozen"
MODES = (NONE, FROZEN, UNFROZEN)
PRETRAIN, FINETUNE = "pretrain", "finetune"
LAST = "last"
DEFAULT_INPUT = {"attention": "deep", "mean": "deep", "blstm": "gop", TREES: "gop"}


@dataclass(frozen=True)
class Inputs:
    """What the scorer reads of a phone.

    Args:
        kind: ``deep``: the columns of ``exp/deep/<set>``; ``gop``: the scalar GOP in the rows of
            ``exp/gop/<set>``; ``stp-gop``: its columns of STP-GOP; ``gop-vector``: all of its
            columns.
        name: suffix of the folder: ``exp/deep/<set>-NAME``.
    """

    kind: str = "deep"
    name: str = ""

    def __post_init__(self) -> None:
        require_choice("input", self.kind, INPUTS)

    @classmethod
    def of(cls, card: Mapping[str, Any], features: str | None = None) -> Inputs:
        """What a model reads.

        Args:
            card: ``config.yaml`` of it.
            features: suffix of the folders; None: that of the training.
        """
        training = card.get("training") or {}
        name = str(training.get("features") or "") if features is None else features
        return cls(str(training["input"]), name)

    def folder(self, work: WorkDir, set_name: str) -> Path:
        """The folder of features of a set.

        Raises:
            UserError: it is not there.
        """
        deep = self.kind == "deep"
        made_by = command_line(
            "extract-deep" if deep else "extract-gop",
            set=set_name,
            stp=self.kind == "stp-gop",
            name=self.name,
        )
        path = work.exp("deep" if deep else "gop", set_name, name=self.name)
        return work.require(path, made_by)


@dataclass(frozen=True)
class ScorerConfig:
    """Shape of a model; the defaults are the paper's (20,289 parameters at 256 inputs).

    Args:
        inputs: features of a phone.
        kind: ``attention``, ``mean`` or ``blstm``.
        width: of all layers (of each direction, for ``blstm``) and of the phone embedding.
        heads: of attention; they divide the width.
        dropout: of the representations of phones and of words, while training.
        symbols: different phones, one more for filling (id 0).
    """

    inputs: Width
    kind: str = "attention"
    width: Width = 32
    heads: Width = 4
    dropout: Share = 0.0
    symbols: Width = 40

    def check(self) -> None:
        """Raises UserError for impossible values."""
        require_choice("model", self.kind, NETWORKS)
        check_fields(self)
        if self.width % self.heads:
            raise UserError(f"`heads` {self.heads} does not divide `width` {self.width}.")


@dataclass(frozen=True)
class ScoringConfig:
    """Train a scorer of utterances on synthetic scores, on human scores, or on both.

    The five rows of Tables 4 and 5 of the paper are `pretrain` and `finetune`: frozen frozen,
    unfrozen unfrozen, unfrozen frozen, unfrozen none, none frozen. Writes
    exp/scoring/NAME/seedN/. A killed run is taken up by the same command.

    Data:
        set_name: Set to read: a folder of data/.
        target: Score of an utterance: total, accuracy, fluency, prosodic, ...
        input: Input of a phone: deep, gop, stp-gop or gop-vector.
        features: Suffix of the folders: exp/deep/SET-NAME or exp/gop/SET-NAME.
        pretrain_set: Set with synthetic scores.
        synthetic: Suffix of exp/synthetic/PRETRAIN_SET-NAME.
        labelled: Number of utterances to learn from, drawn for each seed; 0: all.
    Model:
        model: Model: attention, mean (without attention), blstm or trees.
        width: Width of the layers.
        heads: Number of heads of attention.
        dropout: Dropout of the representations of phones and words.
        init: Start from the seeds of exp/scoring/NAME instead of `pretrain`.
    Training:
        pretrain: Pre-training on synthetic scores: none, or with the acoustic model frozen or
            unfrozen (updated too).
        finetune: Fine-tuning on human scores: frozen, unfrozen or none.
        epochs: Number of passes over the set.
        pretrain_epochs: Number of passes over `pretrain_set`.
        batch_size: Number of utterances of a step.
        learning_rate: Peak learning rate of AdamW, in fine-tuning.
        pretrain_learning_rate: Peak learning rate of AdamW, in pre-training.
        weight_decay: Weight decay of AdamW.
        select: last, or a set whose PCC chooses the epoch (as dev).
        track: Set to measure after every epoch, for the log alone.
        joint_epochs: Number of epochs of a stage that is unfrozen.
        joint_learning_rate: Learning rate of the acoustic model, where it is updated.
        clip: Largest L2 norm of the gradient, in a stage that is unfrozen.
    Machine:
        precision: Precision of the acoustic model, where it is updated: auto, 32, bf16 or 16.
    """

    set_name: Annotated[str, Flag("set")] = field(default="train", metadata=NO_EFFECT)
    target: Annotated[str, OneOf(*TARGETS)] = "total"
    input: Annotated[str, Flag(shown="deep; gop for blstm and trees")] = ""
    features: str = field(default="", metadata=NO_EFFECT)
    model: Annotated[str, OneOf(*KINDS)] = "attention"
    pretrain: Annotated[str, OneOf(*MODES)] = NONE
    pretrain_set: str = field(default="", metadata=NO_EFFECT)
    synthetic: str = field(default="", metadata=NO_EFFECT)
    finetune: Annotated[str, OneOf(*MODES)] = FROZEN
    init: str = ""
    labelled: int = 0
    epochs: Count = 15
    pretrain_epochs: Count = 15
    batch_size: Count = 16
    learning_rate: Positive = 2e-3
    pretrain_learning_rate: Positive = 2e-3
    weight_decay: NotNegative = 0.01
    dropout: Share = 0.3
    width: Width = 32
    heads: Width = 4
    select: str = LAST
    track: str = field(default="", metadata=NO_EFFECT)
    joint_epochs: Count = 10
    joint_learning_rate: Positive = 1e-4
    clip: Positive = 5.0
    precision: str = "auto"

    def __post_init__(self) -> None:
        if not self.input:
            object.__setattr__(self, "input", DEFAULT_INPUT.get(self.model, "deep"))

    def check(self) -> None:
        """Raises UserError for impossible values."""
        check_fields(self)
        Inputs(self.input)
        self._check_stages()
        if self.model == TREES:
            self._check_trees()
        else:
            self.network(1).check()
        if self.labelled < 0 or self.labelled == 1:
            raise ConfigError("labelled", f"{self.labelled} is too few.", "Give 2 or more; 0: all.")

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
