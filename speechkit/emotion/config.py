"""How a classifier of emotions is trained: fields, presets and checks for each upstream."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any

from msgspec import Meta

from speechkit.base.config import (
    Count,
    Flag,
    NotNegative,
    OneOf,
    Positive,
    Seed,
    Share,
    Whole,
    check_fields,
)
from speechkit.base.errors import ConfigError, UserError, closest, require_choice
from speechkit.labels.config import PAPER, SPEAKER_FOLDS
from speechkit.task.paper import NO_EFFECT

OWN = "own"  # protocol: as the flags say
POOLINGS = ("mean", "sum", "max", "attentive")
HEADS = ("paper", "linear")
FUNCTIONALS_HEADS = ("mlp", "logreg")
CLASS_WEIGHTS = ("none", "balanced", "effective", "score-balanced")
FROM_ENCODER = -1.0  # "as the encoder's own configuration says"
STRENGTHS = (1e-4, 1e-3, 1e-2, 0.1, 1.0)  # C of the logistic regression, weakest first

Select = Annotated[str, OneOf("loss", "accuracy", "uar")]
ClassWeights = Annotated[str, OneOf(*CLASS_WEIGHTS)]
OfEncoder = Annotated[float, Meta(lt=1)]  # from 0, or FROM_ENCODER

# The paper's Table I, in its order; `--upstream paper` runs all of them.
PAPER_UPSTREAMS = {
    "wav2vec2-base-960h": "facebook/wav2vec2-base-960h",
    "xls-r-300m": "facebook/wav2vec2-xls-r-300m",
    "xls-r-1b-tr": "patrickvonplaten/wav2vec2-xls-r-1b-common_voice-tr-ft",
    "hubert-large-ls960-ft": "facebook/hubert-large-ls960-ft",
}


@dataclass(frozen=True)
class EmotionTraining:
    """What ``train emotion`` trains, and on what.

    Data:
        upstream: fbank-cnn; egemaps or compare16 (opensmile: for non-commercial use); an encoder
            of Hugging Face by hub name or folder; or paper: the paper's four.
        name: Name of the model: exp/emotion/NAME.
        set_name: Labelled set.
        split: Kind of split, or a name given to split-folds.
        protocol: own, or paper (the step is chosen on its test clips).
        folds: Folds to train, as 0,2.
        max_seconds: Longest clip in seconds; of longer ones the middle.
    Training:
        seed: Seed of every random draw.
        seeds: Number of seeds, from `seed` on.
        preset: Preset of encoders: default, paper or frozen.
    """

    upstream: str = "fbank-cnn"
    name: Annotated[str, Flag(shown="the upstream's")] = ""
    set_name: Annotated[str, Flag("set")] = "ravdess"
    split: str = SPEAKER_FOLDS
    protocol: str = OWN
    folds: Annotated[tuple[int, ...], Flag(shown="all of the split")] = ()
    seeds: Annotated[int, Flag(least=1)] = 1
    max_seconds: float = 30.0
    preset: Annotated[str, Flag(shown="default")] = ""
    seed: Seed = 0

    def __post_init__(self) -> None:
        if not 0 < self.max_seconds < math.inf:
            raise ConfigError("max_seconds", f"{self.max_seconds} is not a length.", "Above 0.")
        require_choice("protocol", self.protocol, (OWN, PAPER))
        if self.protocol == PAPER and self.split not in (SPEAKER_FOLDS, PAPER):
            raise ConfigError(
                "split",
                f"{self.split} is not that of `protocol` {PAPER}.",
                "Leave one of them out.",
            )

    @property
    def division(self) -> str:
        """The split that is trained on."""
        return PAPER if self.protocol == PAPER else self.split


class EmotionConfig:
    """All that decides which model comes out, beside set, split, fold and seed.

    Class weights are the inverse of the count of clips (``balanced``) or of their effective number,
    by label (``effective``) or by prediction (``score-balanced``).

    Model:
        dropout: Dropout of the head.
    Training:
        epochs: Number of epochs at most.
        batch_size: Number of clips in a batch.
        learning_rate: Highest learning rate of AdamW.
        weight_decay: Weight decay of AdamW.
        clip: Largest L2 norm of the gradient.
        patience: Evaluations without a better one before training stops; 0: never.
        select: What chooses the checkpoint: loss, accuracy or uar of the validation clips.
        class_weights: none, balanced, effective or score-balanced.
        beta: Beta of the effective number of clips.
        mask_time: Share of frames masked in training (SpecAugment).
        mask_time_length: Number of frames of a mask.
        mask_feature: Share of features masked in training.
        mask_feature_length: Number of features of a mask.
    Machine:
        precision: auto, 32, bf16 or 16.

    Raises:
        ConfigError: an impossible value.
    """

    select: Select

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def monitor(self) -> str:
        """What chooses the checkpoint, as the training loop names it."""
        return "valid_loss" if self.select == "loss" else f"-valid_{self.select}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the manifest and config.yaml."""
        return asdict(self)  # type: ignore[call-overload]


@dataclass(frozen=True)
class FunctionalsConfig(EmotionConfig):
    """A classifier of openSMILE's functionals.

    ``mlp`` has one hidden layer, and half of its dropout at its inputs. ``logreg`` is multinomial
    logistic regression without random draws; the validation clips choose its regularisation.
    ``speaker_norm`` uses the clips of test speakers too.

    Model:
        head: mlp or logreg.
        speaker_norm: Normalise by the speaker's own clips (results are transductive).
        hidden: Width of the hidden layer of mlp.
    """

    TITLE = "Functionals"

    head: Annotated[str, OneOf(*FUNCTIONALS_HEADS)] = "mlp"
    speaker_norm: bool = False
    hidden: Count = 128
    dropout: Share = 0.5
    epochs: Count = 60
    batch_size: Count = 32
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 0.01
    patience: Whole = 15
    select: Select = "loss"
    class_weights: ClassWeights = "none"
    beta: Share = 0.99


@dataclass(frozen=True)
class CnnConfig(EmotionConfig):
    """A convolutional network on log mel features; a warm-up and a cosine steer its rate.

    Model:
        channels: Widths of the four blocks.
    Training:
        label_smoothing: Share of the target that all classes get alike.
    """

    TITLE = "fbank-cnn"

    channels: tuple[Count, ...] = (16, 32, 64, 64)
    dropout: Share = 0.5
    epochs: Count = 40
    batch_size: Count = 16
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 0.01
    clip: Positive = 5.0
    patience: Whole = 12
    select: Select = "loss"
    label_smoothing: Share = 0.1
    class_weights: ClassWeights = "none"
    beta: Share = 0.99
    mask_time: Share = 0.1
    mask_time_length: Count = 20  # frames of 10 ms
    mask_feature: Share = 0.15
    mask_feature_length: Count = 8  # mel filters
    precision: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.channels) != 4:
            shown = ",".join(map(str, self.channels))
            raise ConfigError("channels", f"{shown} are not four widths.", "As in: 16,32,64,64")


@dataclass(frozen=True)
class EncoderConfig(EmotionConfig):
    """A classifier on a self-supervised encoder.

    The value -1 of ``dropout``, ``mask_time``, ``mask_feature`` and ``layer_drop`` takes what the
    encoder's own configuration says. Layer 0 is what the transformer gets. The head ``paper`` is
    dropout, dense, tanh, dropout, projection. With ``freeze`` encoder only the head is trained, on
    hidden states that are kept in ``exp/hidden/``.

    Model:
        pooling: Pooling over frames: mean, sum, max or attentive.
        head: paper or linear.
        layers: last, weighted (their learned sum), or the number of a layer.
        freeze: none, features (the convolutions) or encoder (all but the head).
    Training:
        accumulate: Number of batches of a step.
        schedule: linear (to 0) or cosine (to a hundredth), after the warm-up.
        warmup: Share of the steps in which the rate rises.
        evaluate_every: Number of steps between evaluations.
        layer_drop: Probability that a layer is skipped.
        buckets: Batches of clips of like length.
    Machine:
        keep_checkpoints: 1 keeps the best weights, 2 also those of the last step.
        gradient_checkpointing: Trade time for memory.
    """

    TITLE = "Encoders"

    pooling: Annotated[str, OneOf(*POOLINGS)] = "mean"
    head: Annotated[str, OneOf(*HEADS)] = "paper"
    dropout: OfEncoder = FROM_ENCODER
    layers: str = "last"
    freeze: Annotated[str, OneOf("none", "features", "encoder")] = "features"
    epochs: Count = 10
    batch_size: Count = 8
    accumulate: Count = 1
    learning_rate: Positive = 1e-4
    weight_decay: NotNegative = 0.0
    clip: Positive = 1.0
    schedule: Annotated[str, OneOf("linear", "cosine")] = "linear"
    warmup: Share = 0.1
    evaluate_every: Count = 100
    patience: Whole = 5
    select: Select = "loss"
    keep_checkpoints: Annotated[int, Meta(ge=1, le=2)] = field(default=1, metadata=NO_EFFECT)
    class_weights: ClassWeights = "none"
    beta: Share = 0.99
    mask_time: OfEncoder = FROM_ENCODER
    mask_time_length: Count = 10
    mask_feature: OfEncoder = FROM_ENCODER
    mask_feature_length: Count = 10
    layer_drop: OfEncoder = FROM_ENCODER
    buckets: bool = True
    gradient_checkpointing: Annotated[bool, Flag("gradient-checkpointing/no-checkpointing")] = (
        field(default=False, metadata=NO_EFFECT)
    )
    precision: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers not in ("last", "weighted") and not self.layers.isdecimal():
            raise ConfigError(
                "layers", f"'{self.layers}' is not known.", "Accepted: last, weighted, or a number."
            )
        for name in ("dropout", "mask_time", "mask_feature", "layer_drop"):
            if (value := getattr(self, name)) < 0 and value != FROM_ENCODER:
                raise ConfigError(
                    name,
                    f"{value} is not from 0 to below 1.",
                    "-1 takes what the encoder's own configuration says.",
                )
        if self.freeze == "encoder" and self.gradient_checkpointing:
            raise ConfigError(
                "gradient_checkpointing", "does nothing for a frozen encoder.", "Leave it out."
            )


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


def encoder_config(preset: str, given: Mapping[str, Any]) -> EncoderConfig:
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
    return EncoderConfig(**{**PRESETS[preset], **chosen})
