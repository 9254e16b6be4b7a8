"""Configurations of the x-vector network: its shape, and its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from speechkit.base.config import Count, Flag, Positive, Seed, check_fields
from speechkit.base.errors import ConfigError, UserError, require_range
from speechkit.base.schema import LAYERS, Taps, Width


@dataclass(frozen=True)
class TDNNConfig:
    """Widths and contexts; the defaults are those of the x-vector paper.

    Args:
        n_mels: features per frame.
        channels: width of each frame-level layer.
        kernels: taps of each layer.
        dilations: frames between taps of each layer.
    """

    n_mels: Width = 24
    channels: Annotated[tuple[Width, ...], LAYERS] = (512, 512, 512, 512, 1500)
    kernels: Annotated[tuple[Taps, ...], LAYERS] = (5, 3, 3, 1, 1)
    dilations: Annotated[tuple[Taps, ...], LAYERS] = (1, 2, 3, 1, 1)
    embedding: Width = 512

    def __post_init__(self) -> None:
        for name in ("channels", "kernels", "dilations"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        lists = (self.channels, self.kernels, self.dilations)
        if not self.channels or len({len(each) for each in lists}) > 1:
            channels, kernels, dilations = (",".join(map(str, each)) for each in lists)
            raise ConfigError(
                "channels",
                f"{channels}, kernels {kernels} and dilations {dilations} must be lists of one "
                "length: a number for each layer.",
            )

    @property
    def min_frames(self) -> int:
        """Fewest frames that can be reflected at the ends."""
        reach = zip(self.kernels, self.dilations, strict=True)
        return 1 + max((k - 1) * d // 2 for k, d in reach)


@dataclass(frozen=True)
class XVectorConfig:
    """Train an x-vector TDNN to classify the speakers of a set.

    Random chunks, features on the fly, validation on held-out utterances (accuracy, equal
    error rate). Writes exp/xvector_nnet/NAME/. A killed run is taken up by the same command.

    Data:
        set_name: Set to read: a folder of data/.
        sample_rate: Sample rate in Hz; 0: that of the first recording, at most 16000.
        chunk_min: Shortest chunk in seconds.
        chunk_max: Longest chunk in seconds.
        speeds: Factors of speed perturbation: each makes new speakers; 1.0: none.
        held_out: Share of each speaker's utterances kept for validation.
    Model:
        n_mels: Number of log mel features per frame.
        channels: Widths of the five frame layers.
        embedding: Dimension of the x-vector.
    Training:
        epochs: Number of epochs at most.
        batch_size: Number of chunks of a step.
        learning_rate: Peak of warm-up and cosine decay (Adam).
        clip: Largest L2 norm of the gradient.
        patience: Epochs without a better held-out loss; 0: never stop.
        seed: Seed of every random draw.
    Machine:
        precision: auto (bf16 on CUDA, 32 on CPU), 32, bf16, or 16 (CUDA only).
    """

    set_name: Annotated[str, Flag("set")] = "train"
    sample_rate: Annotated[int, Flag(least=0)] = 0
    n_mels: Annotated[int, Meta(ge=4, le=128), Flag(least=4)] = 24
    channels: tuple[Count, ...] = TDNNConfig.channels
    embedding: Annotated[int, Flag(least=2)] = 512
    epochs: Count = 20
    batch_size: Annotated[int, Meta(ge=2)] = 32
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 1e-3
    clip: Positive = 5.0
    patience: Annotated[int, Flag(least=0)] = 5
    chunk_min: float = 2.0
    chunk_max: float = 4.0
    speeds: tuple[Annotated[float, Meta(ge=0.5, le=2)], ...] = (0.9, 1.0, 1.1)
    held_out: Annotated[float, Meta(gt=0, lt=0.5)] = 0.1
    precision: str = "auto"
    seed: Seed = 0

    def check(self) -> None:
        """Raise UserError for values outside their range."""
        check_fields(self)
        rate, speeds = self.sample_rate, self.speeds
        if not 0.2 <= self.chunk_min <= self.chunk_max <= 60:
            raise UserError(
                f"`chunk_min` {self.chunk_min} and `chunk_max` {self.chunk_max} are out of range.",
                "Accepted: seconds, from 0.2 to 60, the second not smaller.",
            )
        good_rate = rate == 0 or 4000 <= rate <= 192_000
        require_range("sample_rate", rate, good_rate, "4000 to 192000, or 0")
        good_speeds = 1.0 in speeds and len(set(speeds)) == len(speeds)
        accepted = "different factors from 0.5 to 2, with 1.0 among them"
        require_range("speeds", speeds, good_speeds, accepted)


@dataclass(frozen=True)
class VectorConfig:
    """Speaker vectors of every utterance of a set, and the mean of each speaker.

    Writes exp/xvector/SET/xvector.{ark,scp}, spk_xvector.{ark,scp} and summary.json, which
    has the equal error rate over all pairs of utterances of the set.

    Model:
        model: A name in exp/xvector_nnet (default: the newest), ge2e (the pretrained encoder of
            the package resemblyzer), a folder of `train xvector` or of a SpeechBrain x-vector or
            ECAPA model, or hf:OWNER/NAME.
    Machine:
        batch_seconds: Seconds of audio per batch, with padding; 0: 60 on CPU, 600 on CUDA.
        precision: 32, or bf16: faster, vectors differ by about one in a thousand.
    """

    model: str = ""
    batch_seconds: Annotated[float, Flag(least=0)] = 0.0
    precision: str = "32"


@dataclass(frozen=True)
class ProsodyConfig:
    """Median pitch, voiced fraction and energy of every utterance of a set.

    Writes exp/prosody/SET/prosody.tsv. Pitch is Praat's autocorrelation method.

    Data:
        f0_min: Lowest pitch in Hz.
        f0_max: Highest pitch in Hz.

    Raises:
        UserError: they are no range of pitch.
    """

    f0_min: float = 75.0
    f0_max: float = 600.0

    def __post_init__(self) -> None:
        if not (self.f0_min >= 20 and 1.5 * self.f0_min <= self.f0_max):
            raise UserError(
                f"`f0_min` {self.f0_min:g} and `f0_max` {self.f0_max:g} are not a range of pitch.",
                "Both are in Hz; the first is at least 20, the second 1.5 times the first or more.",
            )
