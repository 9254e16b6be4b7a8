"""The settings of ``train acoustic``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from speechkit.acoustic.features import FeatureConfig
from speechkit.acoustic.tdnn_batches import ChunkConfig
from speechkit.acoustic.tdnn_folder import UNSEEN
from speechkit.acoustic.tdnn_network import TdnnConfig
from speechkit.errors import UserError, require_choice
from speechkit.training.devices import resolve_precision

FULL = "full"  # the network of all speakers


@dataclass(frozen=True)
class AcousticConfig:
    """Everything that decides which networks come out; the flags of ``train acoustic``."""

    set_name: str = "train"
    align: str = ""
    init: str = ""
    folds: int = 2
    full: bool = True
    unseen: str = "mean"
    prior_scale: float = 1.0
    min_score: float = 1.5
    features: FeatureConfig = field(default_factory=FeatureConfig)
    network: TdnnConfig = field(default_factory=TdnnConfig)
    chunks: ChunkConfig = field(default_factory=ChunkConfig)
    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    epochs: int = 10
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    clip: float = 5.0
    precision: str = "auto"
    seed: int = 0

    def check(self) -> None:
        """Raise UserError for values outside their range."""
        require_choice("--unseen", self.unseen, UNSEEN)
        speeds = self.speeds
        for flag, value, good, accepted in (
            ("--folds", self.folds, self.folds == 0 or self.folds >= 2, "2 or more, or 0"),
            ("--prior-scale", self.prior_scale, 0 <= self.prior_scale <= 2, "from 0 to 2"),
            ("--min-score", self.min_score, math.isfinite(self.min_score), "a score"),
            ("--epochs", self.epochs, self.epochs >= 1, "1 or more"),
            ("--learning-rate", self.learning_rate, 0 < self.learning_rate <= 1, "above 0, to 1"),
            ("--weight-decay", self.weight_decay, 0 <= self.weight_decay < 1, "0 to below 1"),
            ("--clip", self.clip, 0 < self.clip < math.inf, "a number above 0"),
            (
                "--speeds",
                speeds,
                1.0 in speeds and 0.5 <= min(speeds) <= max(speeds) <= 2,
                "factors from 0.5 to 2, with 1.0 among them",
            ),
        ):
            if not good:
                raise UserError(f"{flag} {value} is out of range.", f"Accepted: {accepted}.")
        if not (self.folds or self.full):
            raise UserError("--folds 0 --no-full leaves no network to train.")
        if self.unseen == FULL and not self.full:
            raise UserError("--unseen full needs a network of all speakers.", "Add --full.")

    @property
    def names(self) -> list[str]:
        """The networks: ``fold0`` ..., ``full``."""
        return [f"fold{k}" for k in range(self.folds)] + [FULL] * self.full


def resolve_acoustic_precision(precision: str, device: torch.device) -> str:
    """Lightning's name; ``auto`` is bf16 also on a CPU that multiplies bf16 by itself."""
    if precision == "auto" and device.type == "cpu" and _native_bf16():
        precision = "bf16"
    return resolve_precision(precision, device)


def _native_bf16() -> bool:
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in asked)
