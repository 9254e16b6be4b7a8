"""The folder of a trained separation model: config.yaml, weights, log.tsv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import torch

from speechkit.base.errors import require_choice
from speechkit.base.schema import Object, Rate
from speechkit.base.tables import write_json, write_log
from speechkit.base.yaml_files import write_yaml
from speechkit.separation.conv_tasnet import ConvTasNet, ConvTasNetConfig
from speechkit.task import trained
from speechkit.training.weights import build, read_weights, write_weights

if TYPE_CHECKING:
    from speechkit.workdir import WorkDir

KIND = "conv-tasnet"
FILES = {"plain": "best.safetensors", "weighted": "best_weighted.safetensors"}


class Card(msgspec.Struct):
    """What config.yaml must say."""

    sample_rate: Rate
    network: ConvTasNetConfig
    selection: Literal["plain", "weighted"] = "plain"
    training: Object = {}


@dataclass
class Separator:
    """A trained model, ready to separate.

    Args:
        net: the network, in eval mode.
        sample_rate: in Hz.
        folder: where it was loaded from.
        selection: ``plain`` or ``weighted``: the validation loss that selected its epoch.
    """

    net: ConvTasNet
    sample_rate: int
    folder: Path
    selection: str

    @property
    def speakers(self) -> int:
        """Sources that it gives."""
        return self.net.config.speakers

    def separate(self, mixture: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Sources ``[B, speakers, T]`` of mixtures ``[B, T]``, without gradients."""
        with torch.inference_mode():
            return self.net(mixture, lengths)


def write(
    folder: Path,
    net: ConvTasNetConfig,
    sample_rate: int,
    selection: str,
    training: Mapping[str, Any],
    weights: Mapping[str, Mapping[str, torch.Tensor]],
    rows: Sequence[Mapping[str, float]],
) -> None:
    """Write everything that separation needs, and the log of the training.

    Args:
        folder: an existing folder.
        net: the network's hyperparameters.
        sample_rate: in Hz.
        selection: which weights are the model's own choice.
        training: configuration of the training, for the record.
        weights: ``plain`` and ``weighted`` weights of the network.
        rows: measures of each epoch.
    """
    for name, tensors in weights.items():
        write_weights(folder / FILES[name], tensors)
    write_card(folder, card(net, sample_rate, selection, training))
    write_log(folder / "log.tsv", rows, number="epoch")


def card(
    net: ConvTasNetConfig, sample_rate: int, selection: str, training: Mapping[str, Any]
) -> dict[str, Any]:
    """What ``config.yaml`` holds."""
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in training.items()}
    return {
        "kind": KIND,
        "sample_rate": sample_rate,
        "selection": selection,
        "network": asdict(net),
        "training": plain,
    }


def write_card(folder: Path, content: Mapping[str, Any]) -> None:
    """Write ``config.yaml``."""
    write_yaml(folder / "config.yaml", content)


def read_card(folder: Path) -> dict[str, Any]:
    """Contents of ``config.yaml``.

    Raises:
        UserError: it is not there, or not of a separation model.
    """
    return trained.read_card(folder, KIND, "a separation model of speechkit", Card)


def load(folder: Path, which: str = "") -> Separator:
    """Load a trained model.

    Args:
        folder: ``exp/separation/<name>/seed<N>``.
        which: ``plain`` or ``weighted`` weights; empty for the model's own choice.

    Raises:
        UserError: something is missing, damaged, or of another kind.
    """
    content = read_card(folder)
    which = which or str(content.get("selection", "plain"))
    require_choice("--checkpoint", which, tuple(FILES))
    path, config = folder / FILES[which], ConvTasNetConfig(**content["network"])
    net = build(lambda: ConvTasNet(config), read_weights(path), path)
    return Separator(net.eval(), content["sample_rate"], folder, which)


def find_models(workdir: WorkDir, name: str) -> list[tuple[int, Path]]:
    """(seed, folder) of every trained seed of a model, sorted.

    Raises:
        UserError: there is none.
    """
    return trained.find(workdir, "separation", name)


def write_summary(folder: Path, epochs: Mapping[str, int]) -> None:
    """Write ``summary.json``: the selected epochs."""
    named = {f"best_epoch_{name}": epoch for name, epoch in epochs.items()}
    write_json(folder / "summary.json", named)
