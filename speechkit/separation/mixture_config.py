"""What determines a set of mixtures (the stage ``mix``)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from msgspec import Meta

from speechkit.base.config import Flag, OneOf, Seed, check_fields
from speechkit.base.errors import ConfigError, UserError


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
