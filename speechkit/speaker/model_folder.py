"""The folder of a trained x-vector network: config.yaml, model.safetensors, log.tsv."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import yaml

from speechkit.base.schema import Object
from speechkit.speaker.features import FbankSettings
from speechkit.speaker.tdnn import TDNNConfig
from speechkit.task import trained

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
    from safetensors.torch import save

    from speechkit.base.text import write_tsv

    card = {
        "kind": KIND,
        "sample_rate": config.sample_rate,
        "features": {"n_mels": config.n_mels},
        "network": network_config(config).as_dict(),
        "speakers": len(speakers),
        "training": {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(config).items()},
    }
    text = yaml.safe_dump(card, sort_keys=False, allow_unicode=True)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    (folder / "speakers.txt").write_text("".join(f"{s}\n" for s in speakers), encoding="utf-8")
    kept = {k: v.contiguous() for k, v in weights.items() if k.split(".")[0] != "features"}
    (folder / "model.safetensors").write_bytes(save(kept))
    columns = ["epoch", *rows[0]]
    table = [[str(i), *(f"{v:.6g}" for v in row.values())] for i, row in enumerate(rows, 1)]
    write_tsv(folder / "log.tsv", columns, table)


def write_summary(folder: Path, values: Mapping[str, Any]) -> None:
    """Write ``summary.json`` (NaN as null)."""
    plain = {key: None if value != value else value for key, value in values.items()}
    text = json.dumps(plain, indent=2) + "\n"
    (folder / "summary.json").write_text(text, encoding="utf-8")


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
