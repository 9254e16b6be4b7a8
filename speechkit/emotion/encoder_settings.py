"""How a classifier on a self-supervised encoder is trained: fields, presets, checks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from speechkit.base.errors import ConfigError, UserError, closest, require_choice
from speechkit.task.paper import NO_EFFECT

POOLINGS = ("mean", "sum", "max", "attentive")
HEADS = ("paper", "linear")
FREEZE = ("none", "features", "encoder")
SELECT = ("loss", "accuracy", "uar")
CLASS_WEIGHTS = ("none", "balanced", "effective", "score-balanced")
SCHEDULES = ("linear", "cosine")
FROM_ENCODER = -1.0  # "as the encoder's own configuration says"

# The paper's Table I, in its order; `--upstream paper` runs all of them.
PAPER_UPSTREAMS = {
    "wav2vec2-base-960h": "facebook/wav2vec2-base-960h",
    "xls-r-300m": "facebook/wav2vec2-xls-r-300m",
    "xls-r-1b-tr": "patrickvonplaten/wav2vec2-xls-r-1b-common_voice-tr-ft",
    "hubert-large-ls960-ft": "facebook/hubert-large-ls960-ft",
}


@dataclass(frozen=True)
class EncoderConfig:
    """Everything that decides which model comes out, beside set, split, fold and seed.

    Args:
        pooling: over the frames of a clip: mean, sum, max or attentive; padding never counts.
        head: ``paper`` (dropout, dense, tanh, dropout, projection) or ``linear``.
        dropout: of the head; -1 takes the encoder's ``final_dropout``.
        layers: ``last``, ``weighted`` (a learned weighted sum of all layers), or the number
            of a layer (0 is what the transformer gets).
        freeze: ``none``, ``features`` (the convolutions stay as they are) or ``encoder``
            (only the head is trained, on hidden states that are kept in ``exp/hidden/``).
        epochs: passes over the training clips.
        batch_size: clips of a batch, in training and evaluation.
        accumulate: batches of a step of the optimizer.
        learning_rate: of AdamW, at its highest.
        weight_decay: of AdamW.
        clip: largest L2 norm of the gradient.
        schedule: ``linear`` to 0 or ``cosine`` to a hundredth, after the warm-up.
        warmup: share of the steps in which the rate rises.
        evaluate_every: steps of the optimizer between evaluations on the validation speakers.
        patience: evaluations without a better one before training stops; 0 for never.
        select: what chooses the checkpoint: loss, accuracy or uar of the validation speakers.
        keep_checkpoints: 1 keeps the best weights, 2 also those of the last step.
        class_weights: ``none``, ``balanced`` (inverse of the count), ``effective`` (inverse of
            the effective number, by label) or ``score-balanced`` (the same, by prediction).
        beta: of the effective number.
        mask_time: share of frames masked in training (SpecAugment); -1 as the encoder says.
        mask_time_length: frames of a mask.
        mask_feature: share of hidden features masked; -1 as the encoder says.
        mask_feature_length: features of a mask.
        layer_drop: probability that a layer is skipped in training; -1 as the encoder says.
        buckets: batches of clips of like length.
        gradient_checkpointing: trade time for memory in the encoder.
        precision: auto, 32, bf16 or 16.
    """

    pooling: str = "mean"
    head: str = "paper"
    dropout: float = FROM_ENCODER
    layers: str = "last"
    freeze: str = "features"
    epochs: int = 10
    batch_size: int = 8
    accumulate: int = 1
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    clip: float = 1.0
    schedule: str = "linear"
    warmup: float = 0.1
    evaluate_every: int = 100
    patience: int = 5
    select: str = "loss"
    keep_checkpoints: int = field(default=1, metadata=NO_EFFECT)
    class_weights: str = "none"
    beta: float = 0.99
    mask_time: float = FROM_ENCODER
    mask_time_length: int = 10
    mask_feature: float = FROM_ENCODER
    mask_feature_length: int = 10
    layer_drop: float = FROM_ENCODER
    buckets: bool = True
    gradient_checkpointing: bool = field(default=False, metadata=NO_EFFECT)
    precision: str = "auto"

    def check(self) -> None:
        """Raises UserError for impossible values."""
        require_choice("pooling", self.pooling, POOLINGS)
        require_choice("head", self.head, HEADS)
        require_choice("freeze", self.freeze, FREEZE)
        require_choice("select", self.select, SELECT)
        require_choice("class_weights", self.class_weights, CLASS_WEIGHTS)
        require_choice("schedule", self.schedule, SCHEDULES)
        if self.layers not in ("last", "weighted") and not self.layers.isdigit():
            raise ConfigError(
                "layers", f"'{self.layers}' is not known.", "Accepted: last, weighted, or a number."
            )
        if self.keep_checkpoints not in (1, 2):
            raise ConfigError(
                "keep_checkpoints",
                f"{self.keep_checkpoints} is not possible.",
                "Accepted: 1 (the best) or 2 (the best and the last).",
            )
        for name, least in (
            ("epochs", 1), ("batch_size", 1), ("accumulate", 1), ("evaluate_every", 1),
            ("patience", 0), ("mask_time_length", 1), ("mask_feature_length", 1),
        ):  # fmt: skip
            if getattr(self, name) < least:
                raise ConfigError(name, f"{getattr(self, name)} is below {least}.")
        for name in ("dropout", "mask_time", "mask_feature", "layer_drop"):
            value = getattr(self, name)
            if not (value == FROM_ENCODER or 0 <= value < 1):
                raise ConfigError(
                    name,
                    f"{value} is not from 0 to below 1.",
                    "-1 takes what the encoder's own configuration says.",
                )
        if not (0 < self.learning_rate < math.inf and 0 < self.clip < math.inf):
            raise UserError(
                f"`learning_rate` {self.learning_rate} and `clip` {self.clip} must be positive."
            )
        if not (0 <= self.weight_decay < math.inf and 0 <= self.warmup < 1 and 0 <= self.beta < 1):
            raise UserError(
                f"`weight_decay` {self.weight_decay}, `warmup` {self.warmup} or `beta` "
                f"{self.beta} is out of range.",
                "Weight decay is 0 or more; warm-up and beta are from 0 to below 1.",
            )
        if self.freeze == "encoder" and self.gradient_checkpointing:
            raise ConfigError(
                "gradient_checkpointing", "does nothing for a frozen encoder.", "Leave it out."
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the manifest and config.yaml."""
        return asdict(self)


# `paper`: Table II, and what section V says: AdamW without decay, the Trainer's linear schedule
# and clipping, batches in random order padded to their longest. Where the paper is silent:
# frozen convolutions (as in the published example it follows), no early stop, best loss.
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": {
        "pooling": "mean", "head": "paper", "freeze": "features", "epochs": 10, "batch_size": 4,
        "accumulate": 2, "learning_rate": 1e-4, "weight_decay": 0.0, "clip": 1.0,
        "schedule": "linear", "warmup": 0.0, "evaluate_every": 100, "patience": 0,
        "select": "loss", "keep_checkpoints": 2, "buckets": False,
    },
    # The head alone learns from vectors that are there already: larger steps, many epochs.
    "frozen": {
        "freeze": "encoder", "epochs": 60, "batch_size": 32, "learning_rate": 1e-3,
        "weight_decay": 0.01, "dropout": 0.2, "evaluate_every": 20, "patience": 20,
    },
}  # fmt: skip


def plan(preset: str, given: Mapping[str, Any]) -> EncoderConfig:
    """The configuration of a preset with the flags that were given.

    Args:
        preset: a key of ``PRESETS``.
        given: fields of :class:`EncoderConfig`; None means not given.

    Raises:
        UserError: an unknown preset or field, or impossible values.
    """
    require_choice("preset", preset, PRESETS)
    known = {one.name for one in fields(EncoderConfig)}
    for name in given:
        if name not in known:
            raise UserError(f"'{name}' is no setting of an encoder.{closest(name, known)}")
    chosen = {name: value for name, value in given.items() if value is not None}
    config = replace(EncoderConfig(), **{**PRESETS[preset], **chosen})
    config.check()
    return config


def from_dict(values: Mapping[str, Any]) -> EncoderConfig:
    """The configuration that :meth:`EncoderConfig.as_dict` gave; unknown fields are ignored."""
    known = {one.name for one in fields(EncoderConfig)}
    return EncoderConfig(**{k: v for k, v in values.items() if k in known})
