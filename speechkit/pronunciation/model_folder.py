"""The folders of trained models of pronunciation: config.yaml, weights, log.tsv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import torch

from speechkit.base.errors import UserError
from speechkit.base.schema import Object, check
from speechkit.base.tables import write_log
from speechkit.base.yaml_files import write_yaml
from speechkit.labels.scores import Scales, split_aspect
from speechkit.phone_features.feature_folder import Features, require_features
from speechkit.phone_features.scored_set import ScoredSet, single
from speechkit.pronunciation.config import ModelConfig
from speechkit.pronunciation.data import Windows
from speechkit.pronunciation.models import Network, SetScorer, make
from speechkit.pronunciation.statuses import Calibration, Predicted, follow, with_prior
from speechkit.task import trained
from speechkit.task.trained import CARD, LOG, WEIGHTS
from speechkit.training.normaliser import Normaliser
from speechkit.training.weights import build, read_weights, stack, write_weights

KIND = "pronunciation"
_MEAN, _STD = "normalise.mean", "normalise.std"


class Card(msgspec.Struct):
    """What config.yaml must say."""

    network: ModelConfig
    features: Annotated[list[Features], msgspec.Meta(min_length=1)]
    phones: list[str]
    scales: dict[str, dict[str, tuple[float, float]]]
    seed: int = 0
    low_thresholds: dict[str, float | None] = {}
    calibration: Calibration | None = None
    training: Object = {}


@dataclass
class Assessor:
    """Trained models (seeds) of one experiment, ready to score.

    Args:
        net: S models in one.
        normaliser: of the features.
        cards: content of ``config.yaml`` of each.
        seeds: of the models.
    """

    net: Network
    normaliser: Normaliser
    cards: list[dict[str, Any]]
    seeds: list[int]

    @property
    def card(self) -> dict[str, Any]:
        """``config.yaml`` of the first: what the models have in common."""
        return self.cards[0]

    @property
    def config(self) -> ModelConfig:
        """Shape of the models."""
        return self.net.config

    @property
    def features_of(self) -> list[dict[str, Any]]:
        """``features.json`` of the features they take, side by side."""
        return list(self.card["features"])

    @property
    def scales(self) -> Scales:
        """Lowest and highest score of what the models predict: level -> score -> ends."""
        found: Scales = {}
        for aspect in self.config.aspects:
            level, name = split_aspect(aspect)
            if name in (given := self.card["scales"].get(level, {})):
                low, high = given[name]
                found.setdefault(level, {})[name] = (float(low), float(high))
        return found

    @property
    def thresholds(self) -> dict[str, float | None]:
        """Up to which prediction an item is called low, by aspect: the best on the training set,
        the mean over the models; None where undefined."""
        found: dict[str, float | None] = {}
        for aspect in self.config.aspects:
            given = [(card.get("low_thresholds") or {}).get(aspect) for card in self.cards]
            kept = [float(one) for one in given if one is not None]
            found[aspect] = float(np.mean(kept)) if kept else None
        return found

    @property
    def calibration(self) -> Calibration | None:
        """Thresholds of the statuses of words; None of models that do not predict them."""
        stored = self.card.get("calibration")
        return msgspec.convert(stored, Calibration) if stored and self.config.statuses else None

    def check_features(self, given: Sequence[Mapping[str, Any]], where: str) -> None:
        """Raise UserError unless features of these configurations are what they learned from."""
        remedy = "Extract them with the acoustic models that it was trained with, and name them "
        require_features(self.features_of, given, where, remedy + "with `gop`.")

    def predict(self, found: ScoredSet) -> Predicted:
        """What the models say of a set."""
        device = str(next(self.net.parameters()).device)
        windows = Windows(found, self.normaliser, self.config, device)
        raw, statuses = SetScorer(windows, self.net.models).score(self.net)
        if statuses is None or self.calibration is None:
            return Predicted(raw, statuses, raw)
        statuses = with_prior(statuses, self.calibration.prior)
        return Predicted(raw, statuses, follow(raw, statuses, found, self.calibration))

    def assess(
        self, features: np.ndarray, phones: Sequence[str], words: Sequence[int]
    ) -> Predicted:
        """Score one text.

        Args:
            features: ``[P, D]``, as extracted.
            phones: the P canonical phones.
            words: index of the word of each phone, ascending from 0.

        Raises:
            UserError: no phones, phones that are not ARPAbet, or features of another size.
        """
        if not len(phones):
            raise UserError("There are no phones to score.")
        if features.shape != (len(phones), self.config.inputs):
            raise UserError(
                f"The features are {features.shape}, expected {(len(phones), self.config.inputs)}."
            )
        return self.predict(single(features, phones, words, self.config.aspects))


def write(
    folder: Path,
    card: Mapping[str, Any],
    weights: Mapping[str, torch.Tensor],
    normaliser: Normaliser,
    rows: Sequence[Mapping[str, float]],
) -> None:
    """Write everything that scoring needs, and the log of the training.

    Args:
        folder: an existing folder.
        card: content of ``config.yaml``, from :func:`make_card`.
        weights: of one model, without the leading dimension.
        normaliser: of the features.
        rows: measures of each epoch.
    """
    ends = {_MEAN: torch.from_numpy(normaliser.mean), _STD: torch.from_numpy(normaliser.std)}
    write_weights(folder / WEIGHTS, {**weights, **ends})
    write_yaml(folder / CARD, card)
    write_log(folder / LOG, rows, number="epoch")


def copy(source: Path, target: Path) -> dict[str, Any]:
    """Copy a seed, its weights in float16 (the normalisation stays as it is); gives its card."""
    card = read_card(source)
    half = {
        name: value if name in (_MEAN, _STD) else value.half()
        for name, value in read_weights(source / WEIGHTS).items()
    }
    write_weights(target / WEIGHTS, half)
    (target / CARD).write_bytes((source / CARD).read_bytes())
    return card


def make_card(
    config: ModelConfig,
    features_of: Sequence[Mapping[str, Any]],
    scales: Mapping[str, Any],
    phones: Sequence[str],
    **rest: Any,
) -> dict[str, Any]:
    """What ``config.yaml`` holds, as plain values."""
    network = asdict(config)
    network["aspects"] = list(config.aspects)
    return {
        "kind": KIND,
        "network": network,
        "phones": list(phones),
        "scales": {
            level: {name: [float(end) for end in ends] for name, ends in names.items()}
            for level, names in scales.items()
        },
        **rest,
        "features": [dict(one) for one in features_of],
    }


read_card = partial(trained.read_card, kind=KIND, what="a model of pronunciation", card=Card)


def load(folders: Sequence[Path], device: str = "cpu") -> Assessor:
    """Load one or more seeds of an experiment.

    Args:
        folders: ``exp/pronunciation/<name>/seed<N>``.
        device: cpu or cuda.

    Raises:
        UserError: something is missing, damaged, or the seeds are not of one experiment.
    """
    cards = trained.read_cards(folders, read_card, ("network", "features", "phones"))
    tensors = [read_weights(folder / WEIGHTS) for folder in folders]
    config = check(cards[0]["network"], ModelConfig, str(folders[0] / CARD))
    stacked = stack(tensors, folders[0].parent)
    mean, std = stacked.pop(_MEAN, torch.empty(0)), stacked.pop(_STD, torch.empty(0))
    rows = [(len(folders), count, config.inputs) for count in (1, config.symbols)]
    if mean.shape not in rows or mean.shape != std.shape:
        raise UserError(f"{folders[0] / WEIGHTS} does not normalise {config.inputs} inputs.")

    def new() -> Network:
        config.check()
        return make(config, len(folders))

    net = build(new, stacked, folders[0] / WEIGHTS)
    normaliser = Normaliser(mean[0].numpy(), std[0].numpy())
    seeds = [card.get("seed", 0) for card in cards]
    return Assessor(net.eval().to(device), normaliser, cards, seeds)
