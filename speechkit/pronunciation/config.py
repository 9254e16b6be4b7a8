"""Configurations of pronunciation: the model's shape, its training, an evaluation."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from speechkit.base.config import (
    Count,
    Flag,
    NotNegative,
    OneOf,
    Positive,
    Seed,
    Whole,
    check_fields,
)
from speechkit.base.errors import ConfigError, UserError, require_choice
from speechkit.base.schema import Layers, Share, Width
from speechkit.labels.scores import ASPECTS
from speechkit.phone_features import config as features_config
from speechkit.task import config as task_config
from speechkit.task.paper import NO_EFFECT

if TYPE_CHECKING:
    from torch import Tensor

    from speechkit.training.packing import Layout

KINDS = ("gopt", "lstm")
LOSSES = ("mse", "sb-num", "sb-rank", "sb-label")
LAST = "last"
RANGE = (0.0, 2.0)  # of all scores in training
MAX_PHONES = 50


@dataclass(frozen=True)
class ModelConfig:
    """Shape of a model; the defaults are GOPT's (26,577 parameters at 84 inputs).

    Args:
        inputs: features of a phone.
        kind: ``gopt`` or ``lstm``.
        aspects: what is predicted, in the order of ``ASPECTS``.
        width: of the hidden layers.
        depth: blocks, or LSTM layers.
        heads: of attention (``gopt``); they divide the width.
        dropout: of the input and of what each block adds.
        max_phones: longest sequence; longer texts go in windows.
        symbols: different phones, one more for unknown ones (id 0).
        statuses: a second network of this shape predicts whether each word was said
            (see :mod:`speechkit.labels.miscues`).
        feature_limit: normalised features beyond it are cut to it, on either side; 0: none are.
    """

    inputs: Width
    kind: str = "gopt"
    aspects: tuple[Annotated[str, OneOf(*ASPECTS)], ...] = ASPECTS
    width: Width = 24
    depth: Layers = 3
    heads: Width = 1
    dropout: Share = 0.0
    max_phones: Annotated[int, Meta(ge=1, le=1 << 14)] = MAX_PHONES
    symbols: Width = 40
    statuses: bool = False
    feature_limit: NotNegative = 0.0

    def check(self) -> None:
        """Raises UserError for impossible values."""
        require_choice("model", self.kind, KINDS)
        if not self.aspects:
            raise ConfigError("aspects", "names none.", f"Accepted: {', '.join(ASPECTS)}.")
        check_fields(self)
        if self.width % self.heads:
            raise UserError(f"`heads` {self.heads} does not divide `width` {self.width}.")

    @property
    def token_aspects(self) -> tuple[str, ...]:
        """Aspects that every phone predicts: those of phones and of words."""
        return tuple(a for a in self.aspects if not a.startswith("utterance_"))

    @property
    def utterance_aspects(self) -> tuple[str, ...]:
        """Aspects of whole utterances."""
        return tuple(a for a in self.aspects if a.startswith("utterance_"))

    @property
    def extra(self) -> int:
        """Tokens of the utterance before its phones."""
        return len(self.utterance_aspects) if self.kind == "gopt" else 0

    def layout(self, lengths: Tensor) -> Layout:
        """The layout of sequences of these lengths ``[S, B]``."""
        from speechkit.training.packing import make_layout

        return make_layout(lengths, self.extra)


@dataclass(frozen=True)
class PronunciationConfig:
    """Train GOPT or the LSTM baseline to score pronunciation.

    The defaults are the settings of Gong et al. and Do et al. All seeds are trained in one run.
    Writes exp/pronunciation/NAME/seedN/. A killed run is taken up by the same command.

    Data:
        set_name: Set to read: a folder of data/.
        gop: Features: exp/gop/SET-GOP, by default exp/gop/SET. Several, separated by commas,
            stand side by side.
        normalise: Normalise features by column, scalar (as GOPT), or phone.
        feature_limit: Cut normalised features to this size at most, such as 3; 0: leave them.
        aspects: Scores to learn, separated by commas.
        negatives: Number of texts of SET_miscues in an epoch, as a share of those of the set (see
            `make-miscues`). A second network then learns whether words were said.
    Model:
        model: Model: gopt or lstm.
        width: Width of the hidden layers.
        depth: Number of blocks, or of LSTM layers.
        heads: Number of heads of attention.
        dropout: Share of values left out.
    Training:
        loss: mse; sb-num or sb-rank: rare predicted scores weigh more; sb-label: rare labels.
        beta: Beta of sb-num and sb-label.
        class_rule: A score belongs to the class below it (floor) or to the nearest.
        mean_weight: Mean weight of the training scores: free, as published; or one, so that the
            size of the loss of an aspect stays that of mse.
        variant: Variant of the loss: paper, or code (as published, with its defects).
        class_width: Width of the classes; scores go from 0 to 2.
        reduction: gopt: phone + mean word + mean utterance loss; sum: of all nine.
        epochs: Number of passes over the set.
        batch_size: Number of utterances (of up to 50 phones) of a step.
        learning_rate: Learning rate of Adam, after the warm-up.
        beta1: First beta of Adam.
        beta2: Second beta of Adam.
        weight_decay: Weight decay of Adam (L2).
        warm_up: Number of steps in which the rate rises.
        halve_from: Number of epochs before the rate is first halved; 0: never.
        halve_every: Number of epochs between halvings.
        select: last, or a set whose mean PCC chooses the epoch (as dev).
        track: Set to measure after every epoch, for the log alone.
    """

    set_name: Annotated[str, Flag("set")] = field(default="train", metadata=NO_EFFECT)
    gop: tuple[str, ...] = field(default=("",), metadata=NO_EFFECT)
    normalise: Annotated[str, OneOf("column", "scalar", "phone")] = "column"
    feature_limit: NotNegative = 0.0
    model: Annotated[str, OneOf(*KINDS)] = "gopt"
    aspects: Annotated[tuple[str, ...], Flag(shown="all nine")] = ASPECTS
    negatives: Share = 0.0
    width: Width = 24
    depth: Layers = 3
    heads: Width = 1
    dropout: Share = 0.0
    loss: Annotated[str, OneOf(*LOSSES)] = "mse"
    beta: Share = 0.9
    class_rule: Annotated[str, OneOf("floor", "nearest")] = "floor"
    mean_weight: Annotated[str, OneOf("free", "one")] = "free"
    variant: Annotated[str, OneOf("paper", "code")] = "paper"
    class_width: float = 0.2
    reduction: Annotated[str, OneOf("gopt", "sum")] = "gopt"
    epochs: Count = 100
    batch_size: Count = 25
    learning_rate: Positive = 1e-3
    beta1: Share = 0.95
    beta2: Share = 0.999
    weight_decay: NotNegative = 5e-7
    warm_up: Whole = 100
    halve_from: Whole = 20
    halve_every: Count = 5
    select: str = LAST
    track: str = field(default="", metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        # In the order of ASPECTS; check() names unknown ones.
        places = {aspect: place for place, aspect in enumerate(ASPECTS)}
        ordered = sorted(set(self.aspects), key=lambda a: places.get(a, len(places)))
        object.__setattr__(self, "aspects", tuple(ordered))

    def check(self) -> None:
        """Raises UserError for impossible values."""
        from speechkit.stats.class_weights import class_number

        check_fields(self)
        self.network(1).check()
        try:
            class_number(self.class_width, RANGE)
        except ValueError as error:
            raise ConfigError(
                "class_width", f"{self.class_width}: {error}.", "Scores go from 0 to 2 here."
            ) from error
        if len(set(self.gop)) < len(self.gop):
            raise ConfigError("gop", f"names a folder twice: {', '.join(self.gop)}.")

    def network(self, inputs: int) -> ModelConfig:
        """Shape of the model for features of ``inputs`` columns."""
        return ModelConfig(
            *(inputs, self.model, self.aspects, self.width, self.depth, self.heads, self.dropout),
            statuses=self.negatives > 0,
            feature_limit=self.feature_limit,
        )

    def rate(self, epoch: int, step: int) -> float:
        """Learning rate of a step (counted over all epochs) of an epoch, both from 0."""
        rate = self.learning_rate
        if step < self.warm_up:
            rate *= (step + 1) / self.warm_up
        if 0 < self.halve_from <= epoch:
            rate *= 0.5 ** ((epoch - self.halve_from) // self.halve_every + 1)
        return rate

    def params(self) -> dict[str, Any]:
        """For the manifest: plain values; what older models lack only where it is set."""
        lacking = {"negatives": 0.0, "feature_limit": 0.0, "mean_weight": "free"}
        return {k: v for k, v in asdict(self).items() if k not in lacking or v != lacking[k]}


@dataclass(frozen=True)
class EvaluationConfig(task_config.EvaluationConfig):
    """Score a set with all seeds of a model: PCC, MSE, errors by score, recall of low scores.

    Writes exp/pronunciation/NAME/eval/SET/: utterances.tsv, words.tsv, phones.tsv, classes.tsv,
    worst.tsv and summary.json. Prints a table laid out like the paper's Table 1. With `miscues`
    eval/SET-miscues/: miscues.tsv, roc.tsv, roc.png and summary.json; `executor` is for that.

    Data:
        gop: Features: exp/gop/SET-GOP, several separated by commas.
    """

    gop: Annotated[tuple[str, ...] | None, Flag(default="", shown="the names of the training")] = (
        None
    )


@dataclass(frozen=True)
class ShownConfig:
    """What else is tested, and what is shown.

    Data:
        miscues: Test whether words that nobody said are found, in changed texts of the set,
            which are made and whose features are extracted where they are not there.
    Output:
        table: Table of the paper: 1 or 2 print its rows above ours; 3 the mean weights by beta,
            from the scores of the set alone; 0: ours only.
    """

    miscues: Annotated[bool, Flag("miscues")] = False
    table: Annotated[int, Flag(least=0, most=3)] = 0


@dataclass(frozen=True)
class ComparisonConfig(task_config.ComparisonConfig):
    """Differences to a baseline on the same items and seeds, with intervals over speakers.

    Reads evaluations of `evaluate pronunciation`, writes exp/compare/pronunciation/SET/.
    """

    accepted = tuple(f"{aspect}_{kind}" for aspect in ASPECTS for kind in task_config.STATISTICS)


@dataclass(frozen=True)
class MiscueConfig:
    """Change the texts of a scored set so that words of them were not said: data/SET_miscues/.

    Words are replaced by others, added, or removed. `train pronunciation --negatives` learns
    from such texts, `evaluate pronunciation` tests on them.

    Data:
        set: Scored set whose texts are changed.
        words: Set whose words replace others; default: the set itself.
        texts: Number of changed texts of each utterance (to learn from).
        most: Largest number of miscues of a text (to learn from).
        test: Make texts of one kind of miscue each instead (to test on).
        seed: Seed of every random draw.
    """

    set: Annotated[str, Flag("set")] = "train"
    words: str = ""
    texts: Count = 6
    most: Annotated[int, Meta(ge=1, le=4)] = 4
    test: Annotated[bool, Flag("test")] = False
    seed: Annotated[Seed, Meta(ge=0, le=2**63 - 1)] = 0

    def __post_init__(self) -> None:
        check_fields(self)

    def params(self) -> dict[str, Any]:
        """The flags; without `most` at its default, which older sets do not name."""
        return {name: value for name, value in asdict(self).items() if (name, value) != ("most", 4)}


@dataclass(frozen=True)
class Setup(features_config.Setup):
    """Score the pronunciation of recordings whose text is known: phones, words and the whole.

    Prints each recording with its words and phones coloured by score, and for badly said
    phones what was probably said instead; --json gives everything as data.

    Model:
        model: A name under exp/pronunciation, a folder, a file of export, hf:OWNER/NAME, or a CTC
            model of phones (also torchaudio:BUNDLE); default comes with speechkit.
    """

    ipa: Annotated[bool, Flag("ipa")] = False
