"""The configuration of ``train separation``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from speechkit.base.errors import ConfigError, UserError, require_choice
from speechkit.labels.mixtures import load_mixtures
from speechkit.separation import model_folder
from speechkit.separation.conv_tasnet import SIZES, ConvTasNetConfig
from speechkit.separation.data import MixingConfig
from speechkit.task.paper import NO_EFFECT
from speechkit.training.devices import ranks
from speechkit.workdir import WorkDir

LOSSES = ("si-snr", "wsi-snr")


@dataclass(frozen=True)
class SeparationConfig:
    """Everything that decides which model comes out; the flags of ``train separation``.

    Args:
        set_name: a set to mix dynamically, or a mixture set.
        valid_set: the mixture set that selects the epoch and steers the learning rate.
        mixing: how mixtures are drawn; its sample rate is that of the validation set.
        dynamic: draw mixtures anew; otherwise ``set_name`` is a mixture set.
        epochs: most epochs.
        epoch_size: mixtures of an epoch; 0 for as many as utterances (or fixed mixtures).
        batch_size: mixtures of a step, of all processes together.
        learning_rate: of Adam, at the start.
        clip: largest L2 norm of the gradient.
        halve_after: epochs without a better loss after which the rate is halved.
        patience: epochs without a better loss after which training stops; 0 for never.
        loss: ``si-snr``, or ``wsi-snr`` (rank-weighted, WTL).
        weighted_validation: the model's own choice is the weighted-best checkpoint (WVL).
        hard: folder of hard pairs, or empty.
        init: checkpoint to start from, or empty.
        network: hyperparameters.
        precision: auto, 32, bf16 or 16.
        compiled: use ``torch.compile``.
        seed: of all draws.
    """

    set_name: str = field(default="train", metadata=NO_EFFECT)
    valid_set: str = field(default="dev_2mix", metadata=NO_EFFECT)
    mixing: MixingConfig = field(default_factory=lambda: MixingConfig(8000))
    dynamic: bool = True
    epochs: int = 100
    epoch_size: int = 0
    batch_size: int = 8
    learning_rate: float = 1e-3
    clip: float = 5.0
    halve_after: int = 5
    patience: int = 30
    loss: str = "si-snr"
    weighted_validation: bool = False
    hard: str = field(default="", metadata=NO_EFFECT)
    init: str = ""
    network: ConvTasNetConfig = field(default_factory=ConvTasNetConfig)
    precision: str = "auto"
    compiled: bool = field(default=False, metadata=NO_EFFECT)
    seed: int = field(default=0, metadata=NO_EFFECT)

    def check(self) -> None:
        """Raises UserError for impossible values."""
        require_choice("loss", self.loss, LOSSES)
        self.mixing.check()
        self.network.check()
        world = ranks().world
        if self.batch_size < 1 or self.batch_size % world:
            raise ConfigError(
                "batch_size",
                f"{self.batch_size} cannot be divided among {world} processes.",
                "It counts the mixtures of all processes together.",
            )
        if self.epochs < 1 or self.epoch_size < 0:
            raise UserError(f"`epochs` {self.epochs}, `epoch_size` {self.epoch_size}: too few.")
        if not (0 < self.learning_rate < math.inf and 0 < self.clip < math.inf):
            raise UserError(
                f"`learning_rate` {self.learning_rate} and `clip` {self.clip} must be positive."
            )
        if self.loss == "wsi-snr" and self.batch_size == 1:
            raise ConfigError(
                "loss",
                "wsi-snr ranks the mixtures of a batch, and does nothing with one.",
                "Take `batch_size` 2 or more.",
            )
        if self.hard and not self.dynamic:
            raise ConfigError(
                "hard",
                "replaces pairs of dynamic mixing; fixed mixtures have none to replace.",
                "Add `dynamic_mixing`.",
            )
        if self.mixing.samples < self.network.kernel:
            raise UserError(
                f"`segment` {self.mixing.segment} s has {self.mixing.samples} samples, fewer than "
                f"the encoder's window ({self.network.kernel})."
            )

    def params(self) -> dict[str, Any]:
        """For the manifest: plain values."""
        return asdict(self)


def plan(
    workdir: WorkDir,
    *,
    size: str | None,
    network: Mapping[str, Any],
    mixing: Mapping[str, Any],
    **rest: Any,
) -> SeparationConfig:
    """The configuration of flags, completed from the validation set and the checkpoint.

    Args:
        workdir: the working directory.
        size: a key of ``SIZES``; None for light, or the checkpoint's.
        network: hyperparameters that were given (None: not given).
        mixing: fields of :class:`MixingConfig` but rate and speakers.
        rest: other fields of :class:`SeparationConfig`.

    Raises:
        UserError: impossible values, or another model than the checkpoint's.
    """
    header = load_mixtures(workdir.data(rest["valid_set"]), workdir.root).header
    given = {key: value for key, value in network.items() if value is not None}
    require_choice("model", size or "light", tuple(SIZES))
    wanted = replace(SIZES[size or "light"], speakers=header.speakers, **given)
    if rest["init"]:
        asked = wanted if size or given else None
        rate = header.sample_rate
        wanted = model_folder.choose_network(workdir, rest["init"], rest["seed"], rate, asked)
    made = MixingConfig(header.sample_rate, speakers=header.speakers, **mixing)
    return SeparationConfig(mixing=made, network=wanted, **rest)
