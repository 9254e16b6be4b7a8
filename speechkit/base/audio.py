"""Read audio: any format of soundfile, any rate and channel count, segments by seek."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speechkit.base import channels, digests
from speechkit.base.audio_file import SUFFIXES, AudioFile, Pipe, Source
from speechkit.base.errors import AudioError
from speechkit.base.resampler import change_speed, resample

__all__ = [
    "LOUDEST", "SUFFIXES", "AudioFile", "Info", "Pipe", "Source", "change_speed", "info",
    "is_usable", "read", "resample",
]  # fmt: skip
LOUDEST = 1e10  # samples of 32-bit integers kept as floats are below


@dataclass(frozen=True)
class Info:
    """What a file's header says.

    Args:
        sample_rate: in Hz.
        frames: samples per channel.
        channels: number of channels.
    """

    sample_rate: int
    frames: int
    channels: int

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate


def info(source: Source) -> Info:
    """Rate, length and channels of an audio file.

    Raises:
        AudioError: missing, empty, not audio, or cut short.
    """
    with AudioFile(source) as file:
        found = Info(file.rate, file.frames, file.channels)
    if found.frames <= 0:
        raise AudioError(f"{source}: holds no samples.", "Record or copy it again.", "empty")
    return found


def read(
    source: Source,
    sample_rate: int | None = None,
    start: float = 0.0,
    end: float | None = None,
) -> tuple[np.ndarray, int]:
    """Samples of a file or of a part of it, mono.

    Several channels are averaged, or the louder one taken (:mod:`speechkit.base.channels`). Only
    the asked part is decoded, where the format allows it; of several channels once all.

    Args:
        source: audio file, or a pipe, which is run.
        sample_rate: resample to this rate in Hz; None keeps the file's own.
        start: first second.
        end: last second; None for the end of the file.

    Returns:
        Float32 samples ``[T]`` in -1..1, and their rate in Hz.

    Raises:
        AudioError: the file is missing, empty, cut short, not audio, holds NaN or infinite
            samples, ends before the asked part, or has a rate that cannot be resampled.
    """
    with AudioFile(source) as file:
        if not isinstance(source, Pipe):
            digests.note(source)  # just before it is decoded: the disk is read once
        rate, frames = file.rate, file.frames
        first = round(start * rate)
        last = frames if end is None else min(round(end * rate), frames)
        if not 0 <= first < last:
            until = "the end" if end is None else f"{end} s"
            raise AudioError(
                f"{source}: no samples between {start} s and {until}; "
                f"it is {frames / rate:.3f} s long.",
                kind="outside",
            )
        if end is not None and end * rate > frames + rate / 100:
            raise AudioError(
                f"{source}: the segment ends at {end} s, the recording at {frames / rate:.3f} s.",
                "Correct `segments`; `speechkit validate` lists every such line.",
                "outside",
            )
        file.seek(first)
        samples = file.read(last - first)
        channel = channels.choose(file, samples)
    if not (usable := is_usable(samples).all(axis=1)).all():
        raise AudioError(
            f"{source}: {int((~usable).sum())} of {len(samples)} samples are NaN or infinite, or "
            f"beyond {LOUDEST:g} times full scale.",
            "Convert or record it again.",
            "nan",
        )
    mono = channels.to_mono(samples, channel, source)
    if sample_rate is not None:
        mono, rate = resample(mono, rate, sample_rate), sample_rate
    return mono, rate


def is_usable(samples: np.ndarray) -> np.ndarray:
    """Which samples are numbers that are audio, and whose squares can be summed in 32 bits."""
    usable: np.ndarray = np.abs(samples) <= LOUDEST
    return usable
