"""Configurations of separation: network, mixing, training, and sets of mixtures."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from msgspec import Meta

from speechkit.base.config import NO_FLAG, Count, Flag, OneOf, Positive, Seed, Whole, check_fields
from speechkit.base.errors import ConfigError, UserError
from speechkit.base.schema import Layers, Taps, Width
from speechkit.task.paper import NO_EFFECT

NORM_NAMES = ("gLN", "cLN", "chLN")
CHECKPOINTS = ("plain", "weighted")
Decibels = Annotated[float, Meta(ge=-1000, le=1000)]


@dataclass(frozen=True)
class ConvTasNetConfig:
    """Hyperparameters of Conv-TasNet; the defaults are the full model.

    Model:
        filters: N: number of basis filters.
        kernel: L: length of a basis filter in samples.
        stride: Hop: samples between frames, 0 for L / 2.
        bottleneck: B: channels between blocks.
        skip: Sc: channels of the skip path, 0 for none.
        hidden: H: channels in a block.
        conv_kernel: P: taps of the depthwise convolution.
        blocks: X: number of blocks of a repeat, with dilations 1, 2, 4 ...
        repeats: R: number of repeats.
        norm: gLN (global), cLN (cumulative) or chLN (each frame by itself).
        input_norm: Norm before the bottleneck, if not `norm`.
        padding: Padding of the convolutions: zeros or reflect.
        encoder_relu: Apply a ReLU to the encoder's output.
        mask: Nonlinearity of the masks: relu, sigmoid, softmax or linear.
        causal: Use no future frames (norms: cLN or chLN).
        speakers: Sources of a mixture.
    """

    filters: Width = 512
    kernel: Annotated[int, Meta(ge=2, le=1 << 16)] = 16
    stride: Annotated[int, Meta(ge=0, le=1 << 16)] = 0
    bottleneck: Width = 128
    skip: Annotated[int, Meta(ge=0, le=1 << 20)] = 128
    hidden: Width = 512
    conv_kernel: Taps = 3
    blocks: Annotated[int, Meta(ge=1, le=30)] = 8
    repeats: Layers = 3
    norm: Annotated[str, OneOf(*NORM_NAMES)] = "gLN"
    input_norm: Annotated[str, OneOf("", *NORM_NAMES)] = ""
    padding: Annotated[str, OneOf("zeros", "reflect")] = "zeros"
    mask: Annotated[str, OneOf("relu", "sigmoid", "softmax", "linear")] = "relu"
    encoder_relu: Annotated[bool, Flag("encoder-relu/encoder-linear", shown="linear")] = False
    causal: Annotated[bool, Flag("causal/non-causal", shown="no")] = False
    speakers: Annotated[int, Meta(ge=2, le=1 << 10), NO_FLAG] = 2

    @property
    def hop(self) -> int:
        """Samples between frames."""
        return self.stride or self.kernel // 2

    def frames(self, samples: Any) -> Any:
        """Frames of a signal (of each of a tensor of lengths)."""
        return (samples - self.kernel) // self.hop + 1

    def check(self) -> None:
        """Raises UserError if no model can be built."""
        check_fields(self)
        if self.hop > self.kernel:
            raise ConfigError(
                "stride",
                f"{self.hop} is longer than `kernel` {self.kernel}.",
                "Samples between the frames would be lost; take at most the kernel.",
            )
        if self.causal and self.padding == "reflect":
            raise UserError("A causal Conv-TasNet cannot use reflect padding.", "Use zeros.")
        if not self.causal and self.conv_kernel % 2 == 0:
            raise ConfigError("conv_kernel", f"{self.conv_kernel} must be odd.")


SIZES = {
    "full": ConvTasNetConfig(),
    "light": ConvTasNetConfig(blocks=6, repeats=2),
    "tiny": ConvTasNetConfig(filters=128, bottleneck=64, skip=64, hidden=128, blocks=6, repeats=2),
}


@dataclass(frozen=True)
class MixingConfig:
    """How mixtures are drawn in training.

    Data:
        ps: P_S: share of pairs replaced by hard ones.
        segment: Seconds of a training mixture.
        gain_mode: each: a gain for every audio; pair: one SNR for the pair.
        gain_min: Lowest gain in dB.
        gain_max: Highest gain in dB.
        normalize: Equal levels before the gains.
        speeds: Factors of speed perturbation, as 0.95,1.0,1.05.
        sample_rate: Sample rate in Hz: that of the validation set.
        speakers: Sources of a mixture: those of the validation set.
    """

    sample_rate: Annotated[int, NO_FLAG] = 8000
    segment: Annotated[float, Meta(ge=0.1, le=3600)] = 4.0
    speakers: Annotated[int, NO_FLAG] = 2
    gain_min: Decibels = -5.0
    gain_max: Decibels = 5.0
    gain_mode: Annotated[str, OneOf("each", "pair")] = "each"
    speeds: tuple[Annotated[float, Meta(ge=0.5, le=2)], ...] = (1.0,)
    normalize: Annotated[bool, Flag("normalize/stored-levels")] = True
    ps: Annotated[float, Meta(ge=0, le=1), Flag(default=0.3)] = 0.0  # 0 without hard pairs

    def check(self) -> None:
        """Raises ConfigError for impossible values."""
        check_fields(self)
        if self.gain_min > self.gain_max:
            raise ConfigError("gain_min", f"{self.gain_min} is above `gain_max` {self.gain_max}.")

    @property
    def samples(self) -> int:
        """Samples of a segment."""
        return round(self.segment * self.sample_rate)


@dataclass(frozen=True)
class SeparationConfig:
    """Train Conv-TasNet on mixtures of a set, hard pairs among them.

    Writes exp/separation/NAME/seedN/ with the plain-best and the weighted-best checkpoint. A
    killed run is taken up by the same command; torchrun trains on several devices.

    Data:
        set_name: Utterances to mix, or (static) a set of mixtures.
        valid_set: Mixtures that select the epoch; they fix rate and speakers.
        dynamic: New mixtures in every epoch.
        hard: Folder of exp/hard with hard pairs to mix with probability `ps`.
        mixing: How mixtures are drawn.
    Model:
        init: Model to start from: of ours, Asteroid or SpeechBrain.
        network: Hyperparameters.
    Training:
        loss: si-snr, or wsi-snr: the worst of a batch weigh most (WTL).
        weighted_validation: Select the epoch by the rank-weighted loss (WVL); both are kept.
        epochs: Number of epochs at most.
        epoch_size: Number of mixtures of an epoch; 0: as many as utterances.
        batch_size: Number of mixtures of a step (all processes).
        learning_rate: Learning rate of Adam.
        clip: Largest L2 norm of the gradient.
        halve_after: Halve the rate after this many epochs without gain; 0: never.
        patience: Stop after this many epochs without gain; 0: never.
        seed: Seed of every random draw.
    Machine:
        precision: auto (bf16 on CUDA, 32 on CPU), 32, bf16, or 16 (CUDA only).
        compiled: torch.compile (CUDA): minutes at the start, faster steps.
    """

    set_name: Annotated[str, Flag("set")] = field(default="train", metadata=NO_EFFECT)
    valid_set: str = field(default="dev_2mix", metadata=NO_EFFECT)
    mixing: MixingConfig = field(default_factory=MixingConfig)
    dynamic: Annotated[bool, Flag("dynamic-mixing/static")] = True
    epochs: Count = 100
    epoch_size: Annotated[Whole, Flag(least=0)] = 0
    batch_size: Count = 8
    learning_rate: Positive = 1e-3
    clip: Positive = 5.0
    halve_after: Annotated[Whole, Flag(least=0)] = 5
    patience: Annotated[Whole, Flag(least=0)] = field(default=30, metadata=NO_EFFECT)
    loss: Annotated[str, OneOf("si-snr", "wsi-snr")] = "si-snr"
    weighted_validation: Annotated[bool, Flag("weighted-validation/plain-validation")] = False
    hard: str = field(default="", metadata=NO_EFFECT)
    init: str = ""
    network: Annotated[ConvTasNetConfig, NO_FLAG] = field(default_factory=ConvTasNetConfig)
    precision: str = "auto"
    compiled: Annotated[bool, Flag("compile")] = field(default=False, metadata=NO_EFFECT)
    seed: Seed = field(default=0, metadata=NO_EFFECT)

    def check(self, processes: int = 1) -> None:
        """Raises UserError for values that are impossible, or for so many processes."""
        check_fields(self)
        self.mixing.check()
        self.network.check()
        if self.batch_size % processes:
            raise ConfigError(
                "batch_size",
                f"{self.batch_size} cannot be divided among {processes} processes.",
                "It counts the mixtures of all processes together.",
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
            raise ConfigError(
                "segment",
                f"{self.mixing.segment} s has {self.mixing.samples} samples, fewer than the "
                f"encoder's window ({self.network.kernel}).",
            )

    def params(self) -> dict[str, Any]:
        """For the manifest: plain values."""
        return asdict(self)


@dataclass(frozen=True)
class MixConfig:
    """Make a fixed set of mixtures of different speakers: data/SET_2mix/.

    It is a list of utterances, gains and offsets: audio is mixed when it is read.

    Data:
        set: Set whose utterances are mixed.
        count: Number of mixtures.
        speakers: Number of speakers of each mixture.
        rate: Sample rate of the mixtures in Hz.
        mode: min: cut to the shortest source; max: as long as the longest.
        snr_min: Lowest level of a source against another, in dB.
        snr_max: Highest level of a source against another, in dB.
        min_seconds: Shorter utterances take no part.
        seed: Seed of every random draw.
        hard: Folder of exp/hard: make the hard counterpart of the random set, with second
            sources from the hard sets of the first.
        share: With `hard`, the share of mixtures that get a hard partner.
    Output:
        write_audio: Store mixtures and sources as float WAV.
        on_error: At a broken utterance: stop, or skip and list it.

    Raises:
        UserError: a value that is not accepted.
    """

    set: Annotated[str, Flag("set", default="test")]
    count: Annotated[int, Meta(ge=1, le=999_999)] = 500
    speakers: Annotated[int, Meta(ge=2, le=10)] = 2
    rate: Annotated[int, Meta(ge=1000, le=192_000)] = 8000
    mode: Annotated[str, OneOf("min", "max")] = "min"
    snr_min: float = -5.0
    snr_max: float = 5.0
    min_seconds: Annotated[float, Meta(ge=0, le=3600)] = 1.0
    seed: Annotated[Seed, Meta(ge=0, le=2**63 - 1)] = 0
    hard: str = ""
    share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    write_audio: Annotated[bool, Flag("write-audio")] = False
    on_error: Annotated[str, OneOf("stop", "skip")] = "stop"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.hard and self.mode != "min":
            raise ConfigError(
                "hard",
                "makes mixtures as long as those of the random set, out of pieces of utterances.",
                "Leave out `mode`: it is for whole utterances.",
            )
        if self.share < 1 and not self.hard:
            raise ConfigError("share", "is that of hard pairs.", "Give `hard` with it.")
        if not -60 <= self.snr_min <= self.snr_max <= 60:
            raise UserError(
                f"`snr_min` {self.snr_min:g} and `snr_max` {self.snr_max:g} are not a range of "
                "levels in dB.",
                "Give a lowest and a highest value between -60 and 60, as -5 and 5.",
            )

    def params(self) -> dict[str, Any]:
        """For the manifest; what older sets lack only where it is set."""
        found = asdict(self)
        return found if self.hard else {n: found[n] for n in found if n not in ("hard", "share")}
