"""The folders of trained scorers: config.yaml, weights (or trees), log.tsv.

``exp/scoring/<name>/seed<N>/``; a scorer whose acoustic model was updated with it has that one
in ``acoustic/`` (:mod:`speechkit.scoring.joint_network`).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import torch

from speechkit.base.errors import UserError
from speechkit.base.schema import Finite, Object, check
from speechkit.base.tables import write_log
from speechkit.base.yaml_files import write_yaml
from speechkit.phone_features.feature_folder import Features, require_features
from speechkit.scoring import joint_network
from speechkit.scoring.batches import Batches
from speechkit.scoring.data import ScoringSet
from speechkit.scoring.joint_network import ACOUSTIC
from speechkit.scoring.models import CLASSES, Scorer, ScorerConfig, score
from speechkit.scoring.trees import TreeModel
from speechkit.task import trained
from speechkit.task.trained import CARD, LOG, WEIGHTS
from speechkit.training.weights import build, read_weights, stack

KIND = "scoring"
_COPIED = (".yaml", ".json", ".safetensors", ".npz")
Weights = Mapping[str, torch.Tensor]


class Card(msgspec.Struct):
    """What config.yaml must say; trees have no network."""

    target: str
    scale: tuple[Finite, Finite]
    features: Annotated[list[Features], msgspec.Meta(min_length=1)]
    training: Training
    seed: int
    network: Object = {}


class Training(msgspec.Struct):
    """What of the training is needed again."""

    input: str
    features: str | None = ""


@dataclass
class ScoringModel:
    """A trained model (one seed), ready to score.

    Args:
        folder: where it was read from.
        card: content of ``config.yaml``.
        model: the scorer (S = 1), or the trees.
        device: where it computes.
    """

    folder: Path
    card: dict[str, Any]
    model: Scorer | TreeModel
    device: str = "cpu"

    @property
    def features_of(self) -> list[dict[str, Any]]:
        """``features.json`` of the features that its training began with."""
        return list(self.card["features"])

    def check_features(self, given: Sequence[Mapping[str, Any]], where: str) -> None:
        """Raise UserError unless features of these configurations are what it learned from."""
        remedy = "Extract them with the acoustic model that it was trained with, and name them "
        require_features(self.features_of, given, where, remedy + "with `features`.")

    def predict(self, found: ScoringSet) -> np.ndarray:
        """Scores of the utterances of a set from 0 to 1, float64 ``[U]``.

        Raises:
            UserError: features of another number of columns.
        """
        model = self.model
        if isinstance(model, TreeModel):
            return model.predict(found)
        columns = found.features.shape[1]
        if columns != model.config.inputs:
            raise UserError(
                f"The features have {columns} columns, the model in {self.folder} expects "
                f"{model.config.inputs}."
            )
        return score(model, Batches(found, model.recurrent, self.device))[0]


def make_card(
    config: ScorerConfig | None, found: ScoringSet, seed: int, training: Mapping[str, Any]
) -> dict[str, Any]:
    """What ``config.yaml`` holds, as plain values.

    Args:
        config: shape of the scorer; None for trees.
        found: the set that the last stage learned from.
        seed: of the model.
        training: all settings.
    """
    return {
        "kind": KIND,
        "model": training["model"],
        "target": found.target,
        "scale": [float(end) for end in found.scale],
        "seed": seed,
        "network": asdict(config) if config else {},
        "training": dict(training),
        "features": [dict(one) for one in found.features_of],
    }


def write(folder: Path, card: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``config.yaml`` and, where there are rows, ``log.tsv`` (a line an epoch)."""
    write_yaml(folder / CARD, card)
    write_log(folder / LOG, rows)


read_card = partial(
    trained.read_card, kind=KIND, what="a scorer of `speechkit train scoring`", card=Card
)


def read_model(folder: Path, device: str | torch.device = "cpu") -> ScoringModel:
    """Load one seed of an experiment.

    Args:
        folder: ``exp/scoring/<name>/seed<N>``.
        device: cpu or cuda.

    Raises:
        UserError: something is missing or damaged.
    """
    card = read_card(folder)
    if not card.get("network"):
        return ScoringModel(folder, card, TreeModel.load(folder), str(device))
    config = check(card["network"], ScorerConfig, str(folder / CARD), trained.TRAIN_AGAIN)
    path = folder / WEIGHTS

    def make() -> Scorer:
        config.check()
        return CLASSES[config.kind](config, 1)

    net = build(make, stack([read_weights(path)], path), path)
    return ScoringModel(folder, card, net.eval().to(device), str(device))


def copy(source: Path, target: Path) -> dict[str, Any]:
    """Copy a seed, with its own acoustic network if it has one; gives its card."""
    card = read_card(source)
    for place in [Path(), *([Path(ACOUSTIC)] if joint_network.is_joint(source) else [])]:
        (target / place).mkdir(exist_ok=True)
        for path in sorted((source / place).iterdir()):
            if path.is_file() and path.suffix in _COPIED and path.name != "manifest.json":
                shutil.copyfile(path, target / place / path.name)
    return card


def files(folder: Path | None) -> list[Path]:
    """Files that decide what a model says: card, weights or trees, its own acoustic network."""
    if folder is None:
        return []
    patterns = ("*.yaml", "*.safetensors", "*.npz", f"{ACOUSTIC}/*.safetensors")
    return [path for pattern in patterns for path in sorted(folder.glob(pattern))]
