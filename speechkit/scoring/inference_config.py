"""Configurations of what trained scorers are used for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from speechkit.base.config import NO_FLAG, Count, Flag, NotNegative, OneOf, Seed, check_fields
from speechkit.scoring.config import TARGETS
from speechkit.task import config

Target = Annotated[str, OneOf(*TARGETS)]


@dataclass(frozen=True)
class EvaluationConfig(config.EvaluationConfig):
    """Score a set with all seeds of a scorer: PCC and MSE, errors by score, calibration.

    Writes exp/scoring/NAME/eval/SET/: utterances.tsv, classes.tsv, calibration.tsv, worst.tsv,
    summary.json, scatter.png and calibration.png. PCC and MSE are of scores from 0 to 1.

    Data:
        features: Suffix of the set's features: exp/deep/SET-NAME or exp/gop/SET-NAME.
    """

    features: Annotated[str | None, Flag(default="", shown="that of the training")] = None


@dataclass(frozen=True)
class ComparisonConfig(config.ComparisonConfig):
    """Differences to a baseline on the same utterances and seeds, with intervals over speakers.

    Reads evaluations of `evaluate scoring`, writes exp/compare/scoring/SET/.
    """

    accepted = tuple(f"utterance_{name}_{kind}" for name in TARGETS for kind in config.STATISTICS)

    names: Annotated[
        tuple[str, ...],
        Flag("name", shown="all that were evaluated on the set and predict the same score"),
    ] = ()
    measures: Annotated[tuple[str, ...], Flag("measure", shown="PCC and MSE of the score")] = ()


@dataclass(frozen=True)
class TreeConfig:
    """How trees are grown.

    Data:
        trees: how many, one after another.
        learning_rate: share of each tree that is added.
        leaves: of a tree, at most.
        leaf_samples: utterances in a leaf, at least.
        l2: penalty on the values of leaves.
        column_share: share of the features that each split may choose from, drawn anew. This
            draw is what a seed determines: without it all seeds would be the same model.
        mean_gop: The average GOP of all phones as a feature, beside the paper's.

    Raises:
        UserError: a value out of range.
    """

    trees: Annotated[Count, NO_FLAG] = 400
    learning_rate: Annotated[float, Meta(gt=0, le=1), NO_FLAG] = 0.05
    leaves: Annotated[int, Meta(ge=2), NO_FLAG] = 4
    leaf_samples: Annotated[Count, NO_FLAG] = 10
    l2: Annotated[NotNegative, NO_FLAG] = 1.0
    column_share: Annotated[float, Meta(gt=0, le=1), NO_FLAG] = 0.3
    mean_gop: Annotated[bool, Flag(default=True)] = False

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class SynthesisConfig:
    """Predict scores of unscored utterances by boosted trees on GOP, for pre-training.

    Writes exp/synthetic/SET/. The regressor learns from the scored set `train`.

    Data:
        train: Scored set to train the regressor on.
        set: Set to predict scores for.
        gop: Suffix of both sets' folders: exp/gop/SET-GOP.
        targets: Utterance scores to predict, separated by commas.
        allow_shared: Let the two sets have speakers in common.
        folds: Number of folds of speakers to measure the regressor.
    Training:
        seed: Seed of every random draw.

    Raises:
        UserError: a value that is not accepted.
    """

    set: Annotated[str, Flag("set")]
    train: str
    gop: str = ""
    targets: Annotated[tuple[Target, ...], Flag(shown="all of `train`")] = ()
    allow_shared: Annotated[bool, Flag("allow-shared")] = False
    folds: Annotated[int, Meta(ge=2)] = 5
    seed: Seed = 0
    trees: TreeConfig = field(default_factory=lambda: TreeConfig(mean_gop=True))

    def __post_init__(self) -> None:
        check_fields(self)
