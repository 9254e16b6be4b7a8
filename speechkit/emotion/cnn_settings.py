"""How the convolutional network on log mel features is trained."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from speechkit.base.errors import ConfigError, UserError, require_choice
from speechkit.emotion.functionals_settings import SELECT, check_common


@dataclass(frozen=True)
class CnnConfig:
    """All that decides the model, beside set, split, fold and seed.

    Args:
        channels: of the four blocks.
        dropout: before the projection.
        epochs: most passes over the training clips.
        batch_size: clips of a step.
        learning_rate: of AdamW, at the peak of a warm-up and a cosine.
        weight_decay: of AdamW.
        clip: largest L2 norm of the gradient.
        patience: epochs without a better one before training stops; 0 for never.
        select: what chooses the epoch: loss, accuracy or uar of the validation clips.
        label_smoothing: share of the target that all classes get alike, in training.
        class_weights: see :func:`speechkit.emotion.loss.class_weights`.
        beta: of the effective number of clips.
        mask_time: share of the frames masked in training (SpecAugment).
        mask_time_length: frames (of 10 ms) of a mask.
        mask_feature: share of the mel filters masked.
        mask_feature_length: filters of a mask.
        precision: auto, 32, bf16 or 16.
    """

    channels: tuple[int, ...] = (16, 32, 64, 64)
    dropout: float = 0.5
    epochs: int = 40
    batch_size: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    clip: float = 5.0
    patience: int = 12
    select: str = "loss"
    label_smoothing: float = 0.1
    class_weights: str = "none"
    beta: float = 0.99
    mask_time: float = 0.1
    mask_time_length: int = 20
    mask_feature: float = 0.15
    mask_feature_length: int = 8
    precision: str = "auto"

    def check(self) -> None:
        """Raises UserError for impossible values."""
        from speechkit.emotion.encoder_settings import CLASS_WEIGHTS

        require_choice("select", self.select, SELECT)
        require_choice("class_weights", self.class_weights, CLASS_WEIGHTS)
        check_common(self)
        if len(self.channels) != 4 or min(self.channels) < 1:
            shown = ",".join(map(str, self.channels))
            raise ConfigError("channels", f"{shown} are not four widths.", "As in: 16,32,64,64")
        if not 0 < self.clip < math.inf:
            raise ConfigError("clip", f"{self.clip} is not positive.")
        for field, value in (
            ("mask_time", self.mask_time),
            ("mask_feature", self.mask_feature),
            ("label_smoothing", self.label_smoothing),
        ):
            if not 0 <= value < 1:
                raise ConfigError(field, f"{value} is not from 0 to below 1.")
        if min(self.mask_time_length, self.mask_feature_length) < 1:
            raise UserError("`mask_time_length` and `mask_feature_length` are from 1.")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
