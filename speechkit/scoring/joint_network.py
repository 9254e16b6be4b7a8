"""Means of a network's hidden features over the frames of each phone, with gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from speechkit.acoustic.models import find_folder
from speechkit.acoustic.tdnn import folder as tdnn_folder
from speechkit.acoustic.tdnn.folder import Card
from speechkit.acoustic.tdnn.network import Tdnn
from speechkit.base.errors import UserError
from speechkit.scoring.joint_data import JointData, Stream
from speechkit.workdir import WorkDir

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
    device = network.log_prior.device
    network = network.folded()
    with torch.inference_mode():
        found = [
            stream_means(network, data.stream(chosen).to(device), layer).cpu()
            for chosen in _blocks(data.lengths)
        ]
    return torch.cat(found).numpy()


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
    folder = _tdnn_folder(specs[0], work, purpose)
    card = tdnn_folder.read_card(folder)
    now, then = card.fingerprint(), config["blocks"][0].get("fingerprint")
    if now != then:
        raise UserError(
            f"{folder} is another model ({now}) than the one that made the features ({then}).",
            "Extract them again with: speechkit extract-deep",
        )
    return folder


def _tdnn_folder(spec: str, work: WorkDir | None, purpose: str) -> Path:
    accepted = "Accepted: a model of `speechkit train acoustic` (a TDNN, `folds` 0 `full`)."
    if spec == "sphinx" or ":" in spec:
        raise UserError(f"{purpose} cannot update the acoustic model '{spec}'.", accepted)
    folder = find_folder(spec, work)
    if not (folder / tdnn_folder.CARD).is_file():
        raise UserError(f"{purpose} cannot update the acoustic model {folder}.", accepted)
    return folder
