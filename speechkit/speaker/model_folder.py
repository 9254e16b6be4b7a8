"""The folder of a trained x-vector network: config.yaml, model.safetensors, log.tsv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from speechkit.base.schema import Object
from speechkit.base.tables import write_json, write_log
from speechkit.base.yaml_files import write_yaml
from speechkit.speaker.features import FbankSettings
from speechkit.speaker.tdnn import TDNNConfig
from speechkit.task import trained
from speechkit.training.weights import write_weights

if TYPE_CHECKING:
    import torch

    from speechkit.speaker.chunks import XVectorConfig

KIND = "xvector-tdnn"


def network_config(config: XVectorConfig) -> TDNNConfig:
    """The network that a training is configured for."""
    return TDNNConfig(config.n_mels, config.channels, embedding=config.embedding)


def write(
    folder: Path,
    config: XVectorConfig,
    speakers: Sequence[str],
    weights: Mapping[str, torch.Tensor],
    rows: Sequence[Mapping[str, float]],
) -> None:
    """Write everything that extraction needs, and the log of the training.

    Args:
        folder: an existing folder.
        config: of the training.
        speakers: the classes, in order (each speed is a further block of classes).
        weights: ``tdnn.*`` and ``classifier.*``.
        rows: measures of each epoch.
    """
    card = {
        "kind": KIND,
        "sample_rate": config.sample_rate,
        "features": {"n_mels": config.n_mels},
        "network": network_config(config).as_dict(),
        "speakers": len(speakers),
        "training": {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(config).items()},
    }
    write_yaml(folder / "config.yaml", card)
    (folder / "speakers.txt").write_text("".join(f"{s}\n" for s in speakers), encoding="utf-8")
    kept = {k: v for k, v in weights.items() if k.split(".")[0] != "features"}
    write_weights(folder / "model.safetensors", kept)
    write_log(folder / "log.tsv", rows, number="epoch")


def write_summary(folder: Path, values: Mapping[str, Any]) -> None:
    """Write ``summary.json`` (NaN as null)."""
    write_json(folder / "summary.json", values)


def read_config(folder: Path) -> dict[str, Any]:
    """The card of a trained folder.

    Raises:
        UserError: it is not one.
    """
    return trained.read_card(folder, KIND, "an x-vector network of speechkit", Card)


class Card(msgspec.Struct):
    """What config.yaml must say."""

    sample_rate: Annotated[int, msgspec.Meta(ge=1000, le=10_000_000)]
    features: FbankSettings
    network: TDNNConfig
    speakers: int = 0
    training: Object = {}
