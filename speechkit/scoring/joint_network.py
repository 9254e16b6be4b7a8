"""The acoustic network that is trained with a scorer: its features of phones, and its folder.

The folder lies beside the scorer as ``acoustic/``, as ``train acoustic`` writes it with the network
``full``, and with a fingerprint of its own. The network gives hidden features only: which
frames a phone has still comes from the acoustic model that training started from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from speechkit.acoustic.models import find_folder
from speechkit.acoustic.tdnn import folder as tdnn_folder
from speechkit.acoustic.tdnn.folder import Card
from speechkit.acoustic.tdnn.network import Tdnn
from speechkit.base.cluster import kept_for_map
from speechkit.base.errors import UserError, needed_by_all
from speechkit.base.parallel import map_items
from speechkit.phone_features.settings import DEEP, FeatureSettings, fingerprint, settings_of
from speechkit.scoring.joint_data import JointData, Stream, load
from speechkit.workdir import WorkDir

if TYPE_CHECKING:
    from speechkit.phone_features.pipeline import FeaturePipeline
    from speechkit.scoring.data import ScoringSet

ACOUSTIC = "acoustic"  # folder of the network in that of a scorer
FULL = "full"  # the network of all speakers
_FRAMES = 16_384  # that are computed together without gradients


def stream_means(network: Tdnn, stream: Stream, layer: int) -> Tensor:
    """Mean of the hidden features over the frames of each phone, float32 ``[P, D]``.

    Gradients reach the network. It must be in eval mode: then batch normalisation keeps its
    statistics, and what a phone gets does not depend on the other utterances of the stream.
    """
    hidden = network.hidden(stream.frames, layer)[0]
    of_phones = hidden.index_select(0, stream.index).float()
    return torch.segment_reduce(of_phones, "mean", lengths=stream.counts, unsafe=True)


def phone_means(network: Tdnn, data: JointData, layer: int) -> np.ndarray:
    """Features of all phones of a set, float32 ``[N, D]``, as ``extract-deep`` gives them.

    Args:
        network: to read them from.
        data: of the set.
        layer: whose features, from 1.
    """
    network = network.folded()
    streams = map(data.stream, _blocks(data.lengths))
    return np.concatenate([_hidden_means(network, stream, layer) for stream in streams])


def _hidden_means(network: Tdnn, stream: Stream, layer: int) -> np.ndarray:
    """:func:`stream_means` by a folded network, without gradients."""
    with torch.inference_mode():
        return stream_means(network, stream.to(network.log_prior.device), layer).cpu().numpy()


@kept_for_map
@lru_cache(maxsize=1)
@needed_by_all()
def _loaded(folder: Path, layer: int, device: str) -> Tdnn:
    return trainable(folder, layer)[0].to(device).folded()


def _means_of_cluster(
    run: Callable[[Stream], np.ndarray], data: JointData, executor: str, name: str
) -> np.ndarray:
    """:func:`phone_means`, the same streams by the workers of a cluster."""
    streams = [data.stream(chosen) for chosen in _blocks(data.lengths)]
    done = map_items(run, streams, executor=executor, name=lambda _: name)
    return np.concatenate([part.value for part in done if part.value is not None])


def _in_worker(stream: Stream, folder: Path, layer: int, device: str) -> np.ndarray:
    return _hidden_means(_loaded(folder, layer, device), stream, layer)


def _blocks(lengths: np.ndarray) -> list[list[int]]:
    """Utterances in order, in groups of so many frames or a single one."""
    blocks: list[list[int]] = []
    room = 0
    for number, length in enumerate(lengths.tolist()):
        if length > room:
            blocks.append([])
            room = _FRAMES
        blocks[-1].append(number)
        room -= length
    return blocks


def trainable(folder: Path, layer: int) -> tuple[Tdnn, Card]:
    """The network of all speakers of an acoustic model, for training, and its card.

    What lies above the layer takes no part and gets no gradients. The network is in eval mode.

    Raises:
        UserError: the folder is not of a TDNN, has no such network, or no such layer.
    """
    card = tdnn_folder.read_card(folder)
    if FULL not in card.weights or card.unseen != FULL:
        raise UserError(
            f"New speakers are not scored by one network of {folder}, which has "
            f"{', '.join(card.weights)}.",
            "Train the acoustic model with `folds` 0 `full` `unseen` full on speakers of its own.",
        )
    layer = card.network.layer(layer)
    network = Tdnn(card.network)
    tdnn_folder.load_into(network, folder, card, FULL)
    for part in (network.output, *network.layers[layer:]):
        part.requires_grad_(False)
    return network.eval(), card


def acoustic_folder(config: Mapping[str, Any], work: WorkDir | None, purpose: str) -> Path:
    """The folder of the TDNN that made deep features.

    Args:
        config: their ``features.json``.
        work: where its name is looked up.
        purpose: what needs it, for the message.

    Raises:
        UserError: they are of no or of several TDNNs, or the model has changed since.
    """
    specs: Sequence[str] = config.get("am") or ()
    if config.get("method") != "deep" or len(specs) != 1:
        raise UserError(
            f"{purpose} needs deep features of one acoustic model, these are of "
            f"{', '.join(specs) or 'none'} by the method '{config.get('method')}'.",
            "Extract them with `speechkit extract-deep --am NAME` and train with `input` deep.",
        )
    named = specs[0] == "sphinx" or ":" in specs[0]
    folder = Path(specs[0]) if named else find_folder(specs[0], work)
    if not (folder / tdnn_folder.CARD).is_file():
        raise UserError(
            f"{purpose} cannot update the acoustic model '{folder}'.",
            "Accepted: a model of `speechkit train acoustic` (a TDNN, `folds` 0 `full`).",
        )
    card = tdnn_folder.read_card(folder)
    now, then = card.fingerprint(), config["blocks"][0].get("fingerprint")
    if now != then:
        raise UserError(
            f"{folder} is another model ({now}) than the one that made the features ({then}).",
            "Extract them again with: speechkit extract-deep",
        )
    return folder


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
    executor: str = "local",
) -> list[np.ndarray]:
    """Deep features of a set by the own acoustic networks of several scorers.

    The audio is read and its frames are computed once for all of them.

    Args:
        work: the working directory.
        found: the set, read with the features of the acoustic model that all started from.
        folders: of the scorers.
        device: cpu or cuda.
        jobs: processes that compute frames.
        executor: local, or dask://HOST:PORT for frames and networks.

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
            data = load(work, found, *known, jobs=jobs, executor=executor)
        if executor == "local":
            means.append(phone_means(network.to(device), data, layer))
        else:
            place = (folder / ACOUSTIC).resolve()
            run = partial(_in_worker, folder=place, layer=layer, device=str(device))
            means.append(_means_of_cluster(run, data, executor, str(place)))
    return means


def sets_of_models(
    work: WorkDir, found: ScoringSet, folders: Sequence[Path | None], **how: Any
) -> list[ScoringSet]:
    """The set with the features that each scorer reads: those of its own acoustic network.

    Args:
        work: the working directory.
        found: as for :func:`features_of_models`.
        folders: of the scorers, None where one has no network of its own; it gets ``found``.
        how: device, jobs and executor of :func:`features_of_models`.
    """
    own = [folder for folder in folders if folder is not None]
    made = features_of_models(work, found, own, **how) if own else []
    sets = dict(zip(own, map(found.with_features, made), strict=True))
    return [found if folder is None else sets[folder] for folder in folders]


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
