"""The settings of ``train acoustic``."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from speechkit.acoustic.align.phone_loop import INSERTION_PENALTY, LM_SCALE
from speechkit.acoustic.features import FeatureConfig
from speechkit.acoustic.tdnn.batches import ChunkConfig
from speechkit.acoustic.tdnn.folder import UNSEEN
from speechkit.acoustic.tdnn.network import TdnnConfig
from speechkit.base.errors import ConfigError, UserError, require_choice, require_range
from speechkit.training.devices import ranks, resolve_precision

FULL = "full"  # the network of all speakers
_LATER = (
    *("weights", "held_out", "held_out_align", "realign", "realign_epochs"),
    *("realign_learning_rate", "lm_scale", "insertion_penalty"),
)


@dataclass(frozen=True)
class AcousticConfig:
    """Everything that decides what comes out; the flags of ``train acoustic``.

    Args:
        set_name: the training sets, separated by commas.
        align: names of their alignments: one for all sets, or one for each.
        weights: how often chunks of each set are drawn, relative to its size; all 1 if empty.
        held_out: sets to be measured in the end, separated by commas.
        held_out_align: name of their alignments; None: that of the (first) training set.
        realign: how often the networks align the training sets and are trained on from there.
        realign_epochs: epochs of each such round.
        realign_learning_rate: its peak.
        lm_scale: weight of the phone bigram in free decoding.
        insertion_penalty: of each phone in free decoding, in nats.
    """

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
    weights: tuple[float, ...] = ()
    held_out: str = ""
    held_out_align: str | None = None
    realign: int = 0
    realign_epochs: int = 4
    realign_learning_rate: float = 1e-3
    lm_scale: float = LM_SCALE
    insertion_penalty: float = INSERTION_PENALTY

    def check(self) -> None:
        """Raise UserError for values outside their range."""
        require_choice("unseen", self.unseen, UNSEEN)
        speeds = self.speeds
        for checked in (
            ("folds", self.folds, self.folds == 0 or self.folds >= 2, "2 or more, or 0"),
            ("prior_scale", self.prior_scale, 0 <= self.prior_scale <= 2, "from 0 to 2"),
            ("min_score", self.min_score, math.isfinite(self.min_score), "a score"),
            ("epochs", self.epochs, self.epochs >= 1, "1 or more"),
            ("learning_rate", self.learning_rate, 0 < self.learning_rate <= 1, "above 0, to 1"),
            ("weight_decay", self.weight_decay, 0 <= self.weight_decay < 1, "0 to below 1"),
            ("clip", self.clip, 0 < self.clip < math.inf, "a number above 0"),
            ("realign", self.realign, self.realign >= 0, "0 or more"),
            ("realign_epochs", self.realign_epochs, self.realign_epochs >= 1, "1 or more"),
            (
                "realign_learning_rate",
                self.realign_learning_rate,
                0 < self.realign_learning_rate <= 1,
                "above 0, to 1",
            ),
            ("lm_scale", self.lm_scale, 0 <= self.lm_scale <= 100, "from 0 to 100"),
            (
                "insertion_penalty",
                self.insertion_penalty,
                -1000 <= self.insertion_penalty <= 1000,
                "from -1000 to 1000",
            ),
            (
                "speeds",
                speeds,
                1.0 in speeds and 0.5 <= min(speeds) <= max(speeds) <= 2,
                "factors from 0.5 to 2, with 1.0 among them",
            ),
        ):
            require_range(*checked)
        if not (self.folds or self.full):
            raise UserError("`folds` 0 `no_full` leaves no network to train.")
        if self.unseen == FULL and not self.full:
            raise ConfigError("unseen", "full needs a network of all speakers.", "Add `full`.")
        self._check_sets()

    def _check_sets(self) -> None:
        names, weights = self.sets, self.weights
        if not names or len(set(names)) < len(names):
            raise ConfigError("set_name", f"'{self.set_name}' must name different sets.")
        if len(self.align.split(",")) not in (1, len(names)):
            raise UserError(
                f"`align` {self.align} has {len(self.align.split(','))} names for {len(names)} "
                "sets.",
                "Give one for all sets, or one for each.",
            )
        if weights and len(weights) != len(names):
            raise ConfigError(
                "weights",
                f"has {len(weights)} numbers for {len(names)} sets.",
                "Give one for each set.",
            )
        if not all(0.01 <= weight <= 100 for weight in weights):
            raise ConfigError(
                "weights",
                f"{', '.join(f'{w:g}' for w in weights)} is out of range.",
                "Accepted: from 0.01 to 100.",
            )
        if both := sorted(set(names) & set(self.held_out_sets)):
            raise ConfigError(
                "held_out", f"{both[0]} is a set of the training.", "Hold out another set."
            )
        if self.chunks.batch_size < ranks().world:
            raise ConfigError(
                "batch_size",
                f"{self.chunks.batch_size} is less than {ranks().world} processes.",
                "It counts the chunks of all processes together.",
            )

    @property
    def sets(self) -> list[str]:
        """The training sets."""
        return _words(self.set_name)

    @property
    def aligns(self) -> list[str]:
        """The name of each one's alignment; empty for the one without a name."""
        given = [name.strip() for name in self.align.split(",")]
        return given * len(self.sets) if len(given) == 1 else given

    @property
    def held_out_sets(self) -> list[str]:
        """The sets to be measured."""
        return list(dict.fromkeys(_words(self.held_out)))

    def weight(self, number: int) -> float:
        """Of a training set."""
        return self.weights[number] if self.weights else 1.0

    def params(self) -> dict[str, Any]:
        """The flags, without those that were added later where they change nothing.

        So models that were trained before are still up to date.
        """
        plain, found = AcousticConfig(), asdict(self)
        later = {name: getattr(plain, name) for name in _LATER}
        if not self.realign:
            found |= {name: later[name] for name in ("realign_epochs", "realign_learning_rate")}
        return {k: v for k, v in found.items() if k not in later or v != later[k]}

    @property
    def names(self) -> list[str]:
        """The networks: ``fold0`` ..., ``full``."""
        return [f"fold{k}" for k in range(self.folds)] + [FULL] * self.full


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def resolve_acoustic_precision(precision: str, device: torch.device) -> str:
    """Lightning's name; ``auto`` is bf16 also on a CPU that multiplies bf16 by itself."""
    if precision == "auto" and device.type == "cpu" and _native_bf16():
        precision = "bf16"
    return resolve_precision(precision, device)


def _native_bf16() -> bool:
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in asked)
