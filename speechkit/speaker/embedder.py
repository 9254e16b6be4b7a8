"""Waveforms to speaker vectors, whichever model makes them; the folder of a trained network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
import torch

from speechkit.base.cluster import kept_for_map
from speechkit.base.errors import (
    AudioError,
    ConfigError,
    UserError,
    closest,
    needed_by_all,
    require_choice,
)
from speechkit.base.schema import Object
from speechkit.base.tables import write_log
from speechkit.base.yaml_files import write_yaml
from speechkit.speaker import ge2e, speechbrain_folder
from speechkit.speaker.speechbrain_folder import FbankSettings, LogMel
from speechkit.speaker.tdnn import TDNN, FoldedTDNN, TDNNConfig
from speechkit.task.trained import read_card, refuse_path
from speechkit.training.weights import build, read_weights, write_weights
from speechkit.workdir import WorkDir

if TYPE_CHECKING:
    from speechkit.speaker.config import XVectorConfig

KIND = "xvector-tdnn"
DTYPES = {"32": torch.float32, "bf16": torch.bfloat16}


class Card(msgspec.Struct):
    """What config.yaml must say."""

    sample_rate: Annotated[int, msgspec.Meta(ge=1000, le=10_000_000)]
    features: FbankSettings
    network: TDNNConfig
    speakers: int = 0
    training: Object = {}


def network_config(config: XVectorConfig) -> TDNNConfig:
    """The network that a training is configured for."""
    return TDNNConfig(config.n_mels, config.channels, embedding=config.embedding)


def write_model(
    folder: Path,
    config: XVectorConfig,
    speakers: Sequence[str],
    weights: Mapping[str, torch.Tensor],
    rows: Sequence[Mapping[str, float]],
) -> None:
    """Write everything that extraction needs, and the log of the training.

    Args:
        folder: an existing folder.
        speakers: the classes, in order (each speed is a further block of classes).
        weights: ``tdnn.*`` and ``classifier.*``.
        rows: measures of each epoch.
    """
    card = {
        "kind": KIND,
        "sample_rate": config.sample_rate,
        "features": {"n_mels": config.n_mels},
        "network": asdict(network_config(config)),
        "speakers": len(speakers),
        "training": asdict(config),
    }
    write_yaml(folder / "config.yaml", card)
    (folder / "speakers.txt").write_text("".join(f"{s}\n" for s in speakers), encoding="utf-8")
    kept = {k: v for k, v in weights.items() if k.split(".")[0] != "features"}
    write_weights(folder / "model.safetensors", kept)
    write_log(folder / "log.tsv", rows, number="epoch")


class Embedder:
    """A speaker encoder for batches of waveforms of any lengths.

    A vector does not depend on the batch that it is computed in.

    Args:
        features: samples to mel features, and what lengths the network takes.
        network: features and lengths to vectors.
        sample_rate: in Hz, of the audio it takes.
        min_frames: fewest frames that it can take.
    """

    def __init__(
        self,
        features: LogMel | ge2e.MelPower,
        network: torch.nn.Module,
        sample_rate: int,
        min_frames: int,
        device: torch.device,
    ) -> None:
        self.features, self.network = features.to(device).eval(), network.to(device).eval()
        self.sample_rate, self.device = sample_rate, device
        self.min_samples = (max(min_frames, 2) - 1) * features.hop

    def check(self, samples: np.ndarray) -> None:
        """Raise AudioError if ``[T]`` is too short for the network."""
        if len(samples) < self.min_samples:
            raise AudioError(
                f"{len(samples)} samples ({len(samples) / self.sample_rate:.4f} s) are fewer than "
                f"the {self.min_samples} that the speaker network needs."
            )

    @torch.inference_mode()
    def __call__(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors ``[B, dim]`` (float32) of B waveforms ``[T_b]`` at ``sample_rate``."""
        lengths = [len(wave) for wave in waves]
        batch = torch.zeros(len(waves), max(lengths))
        for row, wave in zip(batch, waves, strict=True):
            row[: len(wave)] = torch.from_numpy(wave)
        features, frames = self.features(batch.to(self.device), lengths)
        return self.network(features, frames).float().cpu().numpy()


@kept_for_map
@lru_cache(maxsize=2)
@needed_by_all()
def load(folder: Path, device: str, precision: str = "32") -> Embedder:
    """The encoder of a folder: one of ``train xvector``, of SpeechBrain, or of ``ge2e``.

    Args:
        folder: with ``config.yaml``, ``hyperparams.yaml`` or ``pretrained.pt``.
        device: cpu or cuda.
        precision: 32, or bf16 (TDNN only).
    """
    require_choice("precision", precision, DTYPES)
    features: LogMel | ge2e.MelPower
    network: torch.nn.Module
    if (folder / "config.yaml").is_file():
        features, network, rate, frames = _own(folder)
    elif (folder / ge2e.WEIGHTS).is_file():
        features, network, rate, frames = ge2e.load(folder)
    else:
        features, network, rate, frames = speechbrain_folder.load(folder)  # type: ignore[assignment]
    if isinstance(network, TDNN):
        network = FoldedTDNN(network, DTYPES[precision])
    elif precision != "32":
        raise ConfigError("precision", f"{precision} is for x-vector networks only.", "Use 32.")
    return Embedder(features, network, rate, frames, torch.device(device))


def _own(folder: Path) -> tuple[LogMel, TDNN, int, int]:
    network, card = read_network(folder)
    features = LogMel(card["sample_rate"], **card["features"])
    return features, network, card["sample_rate"], network.config.min_frames


def read_network(folder: Path) -> tuple[TDNN, dict[str, Any]]:
    """The network of a folder of `train xvector`, in eval mode, and its card.

    Raises:
        UserError: something is missing, damaged, or does not fit.
    """
    card = read_card(folder, KIND, "an x-vector network of speechkit", Card)
    path = folder / "model.safetensors"
    config, weights = TDNNConfig(**card["network"]), read_weights(path)
    own = {k.removeprefix("tdnn."): v for k, v in weights.items() if k.startswith("tdnn.")}
    return build(lambda: TDNN(config), own, path).eval(), card


def find_model(workdir: WorkDir, model: str) -> Path:
    """The folder of ``model``: ``ge2e``, a name under exp/xvector_nnet, a folder, or a hub name.

    Args:
        model: empty for the newest trained network.

    Raises:
        UserError: nothing is found, or the hub cannot be reached.
    """
    nets = workdir.exp("xvector_nnet")
    trained = [p.parent for p in nets.glob("*/config.yaml") if not p.parent.name.startswith(".")]
    if not model:
        if not trained:
            raise UserError(
                f"No x-vector network was trained in {nets}.",
                "Train one with `speechkit train xvector`, or give `model` "
                "ge2e|FOLDER|hf:speechbrain/spkrec-xvect-voxceleb.",
            )
        return max(trained, key=lambda p: (p / "config.yaml").stat().st_mtime_ns)
    if model == ge2e.NAME:
        return ge2e.find()
    if model.startswith("hf:"):
        return speechbrain_folder.download(model.removeprefix("hf:"))
    for folder in (nets / model, Path(model)):
        if folder.is_dir():
            return folder
    if model.count("/") == 1 and not model.startswith((".", "/")):
        return speechbrain_folder.download(model)
    refuse_path(model)
    names = [p.name for p in trained]
    raise UserError(
        f"The model '{model}' is neither a name in {nets} nor a folder.{closest(model, names)}",
        f"Trained here: {', '.join(sorted(names)) or 'none'}; or {ge2e.NAME}, or hf:OWNER/NAME.",
    )
