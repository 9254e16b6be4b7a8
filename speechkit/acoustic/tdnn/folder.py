"""The folder of a trained TDNN: config.yaml, a safetensors file per network, spk2fold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import torch

from speechkit.acoustic.features import FeatureConfig
from speechkit.acoustic.tdnn.network import STATES, Tdnn, TdnnConfig
from speechkit.base.errors import DataError, UserError
from speechkit.base.schema import Finite, Object, check
from speechkit.base.yaml_files import write_yaml
from speechkit.kaldi import data
from speechkit.task import trained
from speechkit.training.weights import build, put, read_weights, single, write_weights

KIND = "tdnn"
CARD, FOLDS_FILE = "config.yaml", "spk2fold"


@dataclass(frozen=True)
class Card:
    """What config.yaml says.

    Args:
        labels: phones; state s of label l is output 3 l + s.
        features: what the networks read.
        network: their shape.
        unseen: who scores a speaker outside the training set: ``mean`` of the folds, ``full``.
        prior_scale: weight of the states' log prior in their scores.
        weights: network (``fold0``, ``fold1`` ..., ``full``) -> SHA-256 of its tensors; an
            exported folder names those too that it was left without.
        training: flags of the training, for the record.
        stay: network -> probability of each state that the next frame has it too, in its
            training alignment; empty in models that were trained without.
    """

    labels: tuple[str, ...]
    features: FeatureConfig
    network: TdnnConfig
    unseen: str = "mean"
    prior_scale: float = 1.0
    weights: dict[str, str] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    stay: dict[str, list[float]] = field(default_factory=dict)

    def fingerprint(self) -> str:
        """Changes with everything that decides the evidence."""
        decisive = {
            "kind": KIND,
            "labels": self.labels,
            "features": self.features.as_dict(),
            "network": self.network.as_dict(),
            "unseen": self.unseen,
            "prior_scale": self.prior_scale,
            "weights": self.weights,
        }
        if self.stay:
            decisive["stay"] = self.stay
        text = json.dumps(decisive, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def half(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Floating-point tensors as float16: half the file, no measurable loss."""
    return {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}


def digest(weights: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of names, types, shapes and values."""
    found = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def write(
    folder: Path,
    card: Card,
    networks: Mapping[str, Mapping[str, torch.Tensor]],
    folds: Mapping[str, int],
) -> Card:
    """Write a model; returns the card as written, with the digests of the weights.

    Args:
        folder: an existing folder.
        card: its settings.
        networks: name -> tensors of :class:`Tdnn`, as they are to be stored.
        folds: training speaker -> fold.
    """
    kept = {
        name: {
            key: value.detach().cpu().contiguous()
            for key, value in tensors.items()
            if not key.endswith("num_batches_tracked")
        }
        for name, tensors in networks.items()
    }
    for name, tensors in kept.items():
        write_weights(folder / f"{name}.safetensors", tensors)
    card = replace(card, weights={**card.weights, **{n: digest(t) for n, t in kept.items()}})
    content = {
        "kind": KIND,
        "labels": list(card.labels),
        "features": card.features.as_dict(),
        "network": card.network.as_dict(),
        "unseen": card.unseen,
        "prior_scale": card.prior_scale,
        "weights": card.weights,
        "training": card.training,
        **({"stay": {k: " ".join(map(str, v)) for k, v in card.stay.items()}} if card.stay else {}),
    }
    write_yaml(folder / CARD, content)
    if folds:
        data.write_table(folder / FOLDS_FILE, {s: str(fold) for s, fold in folds.items()})
    return card


def read_card(folder: Path) -> Card:
    """The settings of a model.

    Raises:
        UserError: the folder is not that of a TDNN, or its config.yaml is damaged.
    """
    path = folder / CARD
    content = trained.read_card(folder, KIND, "an acoustic model of speechkit", _Card)
    card = check(content, _Card, str(path))
    network, labels = card.network, tuple(card.labels)
    if network.outputs != STATES * len(labels) or network.n_mels != card.features.n_mels:
        raise UserError(
            f"{path}: a network of {network.n_mels} features and {network.outputs} states does not "
            f"fit {card.features.n_mels} features and {len(labels)} labels.",
            trained.TRAIN_AGAIN,
        )
    stay = {name: _probabilities(path, line, network.outputs) for name, line in card.stay.items()}
    return Card(
        labels, card.features, network, card.unseen, card.prior_scale, card.weights,
        card.training or {}, stay,
    )  # fmt: skip


class _Card(msgspec.Struct):
    """What config.yaml must say."""

    labels: list[str]
    features: FeatureConfig
    network: TdnnConfig
    unseen: Literal["mean", "full"]
    prior_scale: Finite
    weights: dict[Annotated[str, msgspec.Meta(pattern=r"^\w+$")], str]
    training: Object | None = None
    stay: dict[str, str] = {}


def _probabilities(path: Path, line: str, states: int) -> list[float]:
    """One for each state."""
    try:
        found = [float(value) for value in line.split()]
    except ValueError:
        found = []
    if len(found) != states or not all(0 <= value <= 1 for value in found):
        raise UserError(
            f"{path}: 'stay' is not a number for each state from 0 to 1.", trained.TRAIN_AGAIN
        )
    return found


def read_state(folder: Path, card: Card, name: str) -> dict[str, torch.Tensor]:
    """Tensors of one network as stored.

    Raises:
        UserError: missing, damaged, or of another model.
    """
    path = folder / f"{name}.safetensors"
    state = read_weights(path)
    if digest(state) != card.weights.get(name):
        raise UserError(
            f"{path} is not the network that {folder / CARD} describes.",
            "Copy the whole folder again, or train again.",
        )
    return state


def read_networks(folder: Path, card: Card, device: torch.device) -> dict[str, Tdnn]:
    """All networks that the folder has, for inference, in float32.

    Raises:
        UserError: one is damaged, or there is none.
    """
    networks = {}
    for name in card.weights:
        if not (folder / f"{name}.safetensors").exists():
            continue
        state = single(read_state(folder, card, name))
        network = build(lambda: Tdnn(card.network), state, folder / f"{name}.safetensors")
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        networks[name] = network.folded().to(device)
    if not networks:
        raise UserError(f"{folder} has none of the networks that {CARD} names.", "Copy it again.")
    return networks


def load_into(network: Tdnn, folder: Path, card: Card, name: str) -> None:
    """Give a network to be trained the weights of a stored one.

    Raises:
        UserError: the stored one is missing or damaged.
    """
    state = single(read_state(folder, card, name))
    put(network, state, folder / f"{name}.safetensors")


def read_folds(folder: Path) -> dict[str, int]:
    """Training speaker -> fold; empty if the folder does not say.

    Raises:
        DataError: a line is not ``speaker number``.
    """
    path = folder / FOLDS_FILE
    if not path.exists():
        return {}
    try:
        return {speaker: int(fold) for speaker, fold in data.read_table(path).items()}
    except ValueError as error:
        raise DataError(f"{path}: expected lines of 'speaker number' ({error}).") from error


def export(
    folder: Path, target: Path, networks: Sequence[str] = (), *, hidden: bool = False
) -> Path:
    """Copy what evidence of new speakers needs, in float16: a model to give away.

    The training speakers are left out. The fingerprint is that of ``folder`` where its
    weights were stored in float16 already, as ``train acoustic`` does.

    Args:
        folder: of a trained model.
        target: the folder to write (made if need be).
        networks: which to copy; default those that score a new speaker.
        hidden: copy the one network of all speakers too, which gives hidden features.

    Raises:
        UserError: the folder has no such network.
    """
    card = read_card(folder)
    folds = [name for name in card.weights if name != "full"]
    wanted = list(networks) or (["full"] if card.unseen == "full" or not folds else folds)
    if hidden and "full" in card.weights and "full" not in wanted:
        wanted.append("full")
    states = {name: half(read_state(folder, card, name)) for name in wanted}
    target.mkdir(parents=True, exist_ok=True)
    write(target, card, states, {})
    return target
