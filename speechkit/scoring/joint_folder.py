"""The acoustic network that was trained with a scorer: its folder, and features of it.

It lies beside the scorer as ``acoustic/``, a folder as ``train acoustic`` writes it with the
network ``full``, and with a fingerprint of its own. It only listens: which frames a phone has
still comes from the acoustic model that it started from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from speechkit.acoustic.tdnn import folder as tdnn_folder
from speechkit.acoustic.tdnn.folder import Card
from speechkit.base.errors import UserError
from speechkit.phone_features.settings import DEEP, FeatureSettings, fingerprint, settings_of
from speechkit.scoring import joint_data
from speechkit.scoring.joint_network import FULL, phone_means, trainable
from speechkit.workdir import WorkDir

if TYPE_CHECKING:
    from speechkit.phone_features.pipeline import FeaturePipeline
    from speechkit.scoring.data import ScoringSet

ACOUSTIC = "acoustic"


def write(folder: Path, network: Mapping[str, torch.Tensor], card: Card, start: str) -> Card:
    """Write ``acoustic/`` in the folder of a scorer.

    Args:
        folder: of the scorer.
        network: tensors of the network, as they are to be stored.
        card: of the acoustic model that it started from.
        start: its name or folder.

    Returns:
        The card of the new model.
    """
    place = folder / ACOUSTIC
    place.mkdir(exist_ok=True)
    first = {"start": Path(start).name, "start_fingerprint": card.fingerprint()}
    if card.training.get("trained_with_scorer"):  # by a stage before
        first = {key: card.training[key] for key in first}
    training = {"trained_with_scorer": True, **first}
    stay = {FULL: card.stay[FULL]} if FULL in card.stay else {}
    own = replace(card, unseen=FULL, weights={}, training=training, stay=stay)
    return tdnn_folder.write(place, own, {FULL: network}, {})


def is_joint(folder: Path) -> bool:
    """Whether the scorer in a folder has an acoustic network of its own."""
    return (folder / ACOUSTIC / tdnn_folder.CARD).is_file()


def features_of_models(
    work: WorkDir,
    found: ScoringSet,
    folders: Sequence[Path],
    *,
    device: str | torch.device = "cpu",
    jobs: int = 1,
    allow_pipes: bool = False,
) -> list[np.ndarray]:
    """Deep features of a set by the own acoustic networks of several scorers.

    The audio is read and its frames are computed once for all of them.

    Args:
        work: the working directory.
        found: the set, read with the features of the acoustic model that all started from.
        folders: of the scorers.
        device: cpu or cuda.
        jobs: processes that compute frames.
        allow_pipes: run shell commands in ``wav.scp``.

    Returns:
        For each scorer float32 ``[N, D]``, in the order of the set.

    Raises:
        UserError: a folder is damaged or of another layer, or the audio cannot be read.
    """
    layer = int(found.features_of[0]["layer"])
    data, known, means = None, None, []
    for folder in folders:
        network, card = trainable(folder / ACOUSTIC, layer)
        if data is None or known != (card.features, card.network.reach):
            known = (card.features, card.network.reach)
            data = joint_data.load(work, found, *known, jobs=jobs, allow_pipes=allow_pipes)
        means.append(phone_means(network.to(device), data, layer))
    return means


def features_of_model(work: WorkDir, found: ScoringSet, folder: Path, **options: Any) -> np.ndarray:
    """The same for one scorer: float32 ``[N, D]`` (see :func:`features_of_models`)."""
    return features_of_models(work, found, [folder], **options)[0]


def pipeline(
    config: Mapping[str, Any],
    folder: Path,
    work: WorkDir | None,
    device: str = "cpu",
    places: Mapping[str, str] | None = None,
) -> FeaturePipeline:
    """What computes the features of any recording for a scorer with its own acoustic network.

    Args:
        config: ``features.json`` of the features that training began with.
        folder: of the scorer.
        work: where the name of the aligning model is looked up.
        device: cpu or cuda.
        places: where a model is now, by its name in the configuration.

    Raises:
        UserError: the aligning model is missing or another one.
    """
    from speechkit.phone_features.pipeline import FeaturePipeline

    then = settings_of(config, places)
    aligner = then.align_with or then.am[0]
    settings = FeatureSettings(
        (str(folder / ACOUSTIC),), DEEP, aligner, names=then.names, layer=int(config["layer"])
    )
    found = FeaturePipeline.create(settings, work, device)
    now = found.aligner.fingerprint
    if then.align_with:
        blocks, columns = config["blocks"], config["columns"]
        same = fingerprint(blocks, columns, now) == config["fingerprint"]
    else:
        same = now == config["blocks"][0]["fingerprint"]
    if not same:
        raise UserError(
            f"The scorer in {folder} was trained with phones that another model than '{aligner}' "
            "found.",
            "Name the model that it started from, or train again.",
        )
    return found
