"""Configurations of the trainable acoustic model: features, network, batches, training."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any

from msgspec import Meta

from speechkit.acoustic.config import FeatureConfig
from speechkit.base.config import (
    NO_FLAG,
    Count,
    Flag,
    OneOf,
    Positive,
    Seed,
    Share,
    Whole,
    check_fields,
    numbers,
)
from speechkit.base.errors import ConfigError, UserError, require_choice, require_range
from speechkit.base.schema import LAYERS, Taps, Width

FULL = "full"  # the network of all speakers
UNSEEN = ("mean", FULL)
LM_SCALE, INSERTION_PENALTY = 4.0, 2.0
Rate = Annotated[float, Meta(gt=0, le=1)]
_LATER = (
    *("weights", "held_out", "held_out_align", "realign", "realign_epochs"),
    *("realign_learning_rate", "lm_scale", "insertion_penalty"),
)


@dataclass(frozen=True)
class TdnnConfig:
    """Widths and contexts of the network; the defaults have 946,686 parameters.

    Model:
        n_mels: Features per frame.
        widths: Outputs of each layer.
        kernels: Taps of each layer (odd).
        dilations: Frames between the taps of each layer.
        outputs: HMM states.
        dropout: Share of each layer's channels left out of a chunk.
        residual: Add a layer's input to its output where they are equally wide.
    """

    n_mels: Annotated[Width, NO_FLAG] = 40
    widths: Annotated[tuple[Width, ...], LAYERS, NO_FLAG] = (240, 240, 240, 240, 240, 240)
    kernels: Annotated[tuple[Taps, ...], LAYERS, NO_FLAG] = (5, 3, 3, 3, 3, 3)
    dilations: Annotated[tuple[Taps, ...], LAYERS, NO_FLAG] = (1, 1, 2, 3, 3, 6)
    outputs: Annotated[Width, NO_FLAG] = 126
    dropout: float = 0.1
    residual: bool = True

    def __post_init__(self) -> None:
        lists = ("widths", "kernels", "dilations")
        for name in lists:
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len({len(getattr(self, name)) for name in lists}) > 1 or not self.kernels:
            raise UserError(
                f"`widths` {self.widths}, `kernels` {self.kernels} and `dilations` "
                f"{self.dilations} must have one number for each layer."
            )
        if min(self.widths) < 1 or min(self.dilations) < 1:
            raise UserError("`widths` and `dilations` must be 1 or more.")
        if min(self.kernels) < 1 or any(kernel % 2 == 0 for kernel in self.kernels):
            raise ConfigError("kernels", f"{self.kernels} must be odd numbers.")
        if not 0 <= self.dropout < 1:
            raise ConfigError(
                "dropout", f"{self.dropout} is out of range.", "Accepted: 0 to below 1."
            )

    @property
    def reach(self) -> int:
        """Frames to each side that an output depends on."""
        return sum((k - 1) * d // 2 for k, d in zip(self.kernels, self.dilations, strict=True))

    def layer(self, number: bool | int) -> int:
        """A hidden layer by its number from 1; True is the last.

        Raises:
            UserError: there is none of this number.
        """
        from speechkit.acoustic.interface import layer_number

        return layer_number(number, len(self.widths), "TDNN")

    def beyond(self, layer: int) -> int:
        """Frames to each side that the layers after number ``layer`` take in."""
        after = zip(self.kernels[layer:], self.dilations[layer:], strict=True)
        return sum((k - 1) * d // 2 for k, d in after)

    def as_dict(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@dataclass(frozen=True)
class LayersConfig:
    """Size of the acoustic network, by name or layer by layer.

    Model:
        model: Size: tdnn-small (6 layers, 0.95 M parameters) or tdnn (11 layers, 8.2 M).
        widths: Outputs of each layer, one number for all; default of the model: 240 (tdnn: ten of
            540, one of 256).
        kernels: Taps of each layer; default of the model: 5,3,3,3,3,3 (tdnn:
            5,3,3,3,3,3,3,3,3,3,1).
        dilations: Frames between the taps of each layer; default of the model: 1,1,2,3,3,6 (tdnn:
            1,1,2,3,3,3,3,3,3,3,1).
    """

    model: str = "tdnn-small"
    widths: str = ""
    kernels: str = ""
    dilations: str = ""

    def network(self, n_mels: int, network: TdnnConfig) -> TdnnConfig:
        """The network with these layers; raises ConfigError for what is not accepted."""
        require_choice("model", self.model, tuple(PRESETS))
        size = PRESETS[self.model]
        kernels = numbers("kernels", self.kernels or size.kernels, int)
        widths = numbers("widths", self.widths or size.widths, int)
        return replace(
            network,
            n_mels=n_mels,
            widths=widths * len(kernels) if len(widths) == 1 else widths,
            kernels=kernels,
            dilations=numbers("dilations", self.dilations or size.dilations, int),
        )


PRESETS = {
    "tdnn-small": LayersConfig("tdnn-small", "240", "5,3,3,3,3,3", "1,1,2,3,3,6"),
    # The size of the acoustic model of Lin and Wang, Interspeech 2021 (11 layers, features of
    # 256; its shape is not published): 8,168,790 parameters with 126 states, 8,165,047 there.
    "tdnn": LayersConfig(
        "tdnn", ",".join(["540"] * 10 + ["256"]), "5,3,3,3,3,3,3,3,3,3,1", "1,1,2,3,3,3,3,3,3,3,1"
    ),
}


@dataclass(frozen=True)
class ChunkConfig:
    """How chunks are cut and spoilt.

    Training:
        batch_size: Number of chunks of a step.
        frames: Number of frames of a chunk.
        freq_masks: Masks over filters in each chunk (SpecAugment, Park et al. 2019).
        freq_width: Most filters of a mask.
        time_masks: Masks over frames in each chunk.
        time_width: Most frames of a mask.
    """

    frames: Annotated[int, Flag("chunk")] = 200
    batch_size: Count = 16
    freq_masks: Whole = 2
    freq_width: Whole = 6
    time_masks: Whole = 1
    time_width: Whole = 12

    def __post_init__(self) -> None:
        check_fields(self)
        require_range("chunk", self.frames, self.frames >= 8, "8 or more")


@dataclass(frozen=True)
class AcousticConfig:
    """Everything that decides what comes out; the flags of ``train acoustic``.

    Data:
        set_name: Set to train on, or several: A,B.
        weights: How often each set is drawn (1,1 ...).
        align: Alignment exp/align/SET-ALIGN (one name for all sets, or one for each); default
            exp/align/SET.
        held_out: Aligned sets to evaluate after the training: A,B.
        held_out_align: Alignments of the held-out sets; default as `align` of the first set.
        folds: Number of folds of speakers; 0: one network of all speakers only.
        full: Also train a network on all speakers.
        unseen: Networks that score new speakers: mean (of the folds) or full.
        min_score: Do not learn from phones with a lower score (sets with scores).
        features: What the network hears.
    Model:
        init: Start from the networks of this acoustic model, fold by fold.
        network: Its shape.
        prior_scale: Weight of the states' prior in their scores.
        lm_scale: Weight of the phone bigram in free decoding.
        insertion_penalty: Penalty of each phone in free decoding, in nats.
    Training:
        epochs: Number of passes over the data.
        chunks: Batches.
        learning_rate: Peak of warm-up and cosine decay (AdamW).
        weight_decay: Weight decay of AdamW.
        clip: Largest L2 norm of the gradient.
        speeds: Factors of speed perturbation; each chunk takes one; 1.0: none.
        realign: Align the sets by the networks and train on, so many times.
        realign_epochs: Number of epochs of each time.
        realign_learning_rate: Peak learning rate of each time.
        seed: Seed of every random draw.
    Machine:
        precision: auto (bf16 on CUDA and CPUs that have it), 32, bf16, 16 (CUDA only).
    """

    set_name: Annotated[str, Flag("set")] = "train"
    align: str = ""
    init: str = ""
    folds: Annotated[int, Flag(least=0)] = 2
    full: bool = True
    unseen: Annotated[str, OneOf(*UNSEEN)] = "mean"
    prior_scale: Annotated[float, Meta(ge=0, le=2)] = 1.0
    min_score: float = 1.5
    features: FeatureConfig = field(default_factory=FeatureConfig)
    network: TdnnConfig = field(default_factory=TdnnConfig)
    chunks: ChunkConfig = field(default_factory=ChunkConfig)
    speeds: tuple[Annotated[float, Meta(ge=0.5, le=2)], ...] = (0.9, 1.0, 1.1)
    epochs: Count = 10
    learning_rate: Rate = 2e-3
    weight_decay: Share = 0.01
    clip: Positive = 5.0
    precision: str = "auto"
    seed: Seed = 0
    weights: tuple[float, ...] = ()
    held_out: str = ""
    held_out_align: str | None = None
    realign: Whole = 0
    realign_epochs: Count = 4
    realign_learning_rate: Rate = 1e-3
    lm_scale: Annotated[float, Meta(ge=0, le=100)] = LM_SCALE
    insertion_penalty: Annotated[float, Meta(ge=-1000, le=1000)] = INSERTION_PENALTY

    def check(self, processes: int = 1) -> None:
        """Raise UserError for values outside their range, or for so many processes."""
        check_fields(self)
        for checked in (
            ("folds", self.folds, self.folds == 0 or self.folds >= 2, "2 or more, or 0"),
            ("min_score", self.min_score, math.isfinite(self.min_score), "a score"),
            ("speeds", self.speeds, 1.0 in self.speeds, "factors with 1.0 among them"),
        ):
            require_range(*checked)
        if not (self.folds or self.full):
            raise UserError("`folds` 0 `no_full` leaves no network to train.")
        if self.unseen == FULL and not self.full:
            raise ConfigError("unseen", "full needs a network of all speakers.", "Add `full`.")
        self._check_sets(processes)

    def _check_sets(self, processes: int) -> None:
        names, weights = self.sets, self.weights
        if not names or len(set(names)) < len(names):
            raise ConfigError("set_name", f"'{self.set_name}' must name different sets.")
        if len(self.align.split(",")) not in (1, len(names)):
            raise UserError(
                f"`align` {self.align} has {len(self.align.split(','))} names, "
                f"`set_name` {len(names)}.",
                "Give one for all sets, or one for each.",
            )
        if weights and len(weights) != len(names):
            raise ConfigError(
                "weights",
                f"are {len(weights)}, the sets {len(names)}.",
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
        if self.chunks.batch_size < processes:
            raise ConfigError(
                "batch_size",
                f"{self.chunks.batch_size} is less than {processes} processes.",
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
