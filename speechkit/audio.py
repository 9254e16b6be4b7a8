"""Read audio: any format of soundfile, any rate and channel count, segments by seek."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from speechkit.audio_file import SUFFIXES, AudioFile, Pipe, Source
from speechkit.errors import AudioError
from speechkit.log import note_once

if TYPE_CHECKING:
    import torch

__all__ = ["SUFFIXES", "AudioError", "AudioFile", "Info", "Pipe", "Source"]


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

    Several channels are averaged. Only the asked part is decoded, where the format allows it.

    Args:
        source: audio file, or a pipe, which is run.
        sample_rate: resample to this rate in Hz; None keeps the file's own.
        start: first second.
        end: last second; None for the end of the file.

    Returns:
        Float32 samples ``[T]`` in -1..1, and their rate in Hz.

    Raises:
        AudioError: the file is missing, empty, cut short, not audio, holds NaN or infinite
            samples, or ends before the asked part.
    """
    with AudioFile(source) as file:
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
    mono = _mono(samples, source)
    if not np.isfinite(mono).all():
        bad = int((~np.isfinite(mono)).sum())
        raise AudioError(
            f"{source}: {bad} of {len(mono)} samples are NaN or infinite.",
            "Convert or record it again.",
            "nan",
        )
    if sample_rate is not None and sample_rate != rate:
        mono, rate = resample(mono, rate, sample_rate), sample_rate
    return mono, rate


def _mono(samples: np.ndarray, path: Source) -> np.ndarray:
    """Average of the channels of ``[T, channels]``."""
    channels = samples.shape[1]
    if channels > 1:
        note_once(
            f"channels-{channels}",
            f"Audio with {channels} channels is averaged to one (first seen: {path}).",
        )
        return samples.mean(axis=1)
    return samples[:, 0]


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Resample ``[..., T]`` with torchaudio's windowed sinc; kernels are kept per rate pair."""
    import torch

    with torch.inference_mode():
        resampled = resampler(rate, new_rate)(torch.from_numpy(np.ascontiguousarray(samples)))
        return resampled.numpy()


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """Faster (factor > 1) with higher pitch, as ``sox speed``: by resampling ``[T]``."""
    if factor == 1:
        return samples
    ratio = Fraction(factor).limit_denominator(100)
    return resample(samples, ratio.numerator, ratio.denominator)


@lru_cache(maxsize=32)
def resampler(rate: int, new_rate: int) -> torch.nn.Module:
    """A cached ``torchaudio.transforms.Resample``."""
    import torch
    import torchaudio

    with torch.inference_mode(False):  # the kept kernel may be asked for gradients later
        return torchaudio.transforms.Resample(rate, new_rate)
