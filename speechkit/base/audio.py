"""Read audio: any format of soundfile, any rate and channel count, segments by seek; levels.

Several channels become one: their average, or the louder one where they are in opposite phase.
Let N channels hold one voice with powers P_i, each with its own noise of the same power. The
average has the power P of the voice and 1/N of the noise, so its signal-to-noise ratio is

    q = N^2 P / sum P_i

times the mean of the channels': N for equal channels (P_1 = P_2 = P = 1: q = 4 / 2), 1 for
unrelated ones (P = 1/2), 0 where they cancel (P = 0). Below ``CANCELLED`` averaging costs more
than 10 dB, and the louder channel is taken as it is. For two channels
q = 1 + 2 c / (P_1 + P_2) with their covariance c: they are then correlated by less than -0.9,
which two microphones in one room are not unless one of them is wired the wrong way round. A file
is judged whole, so that all its parts are treated alike.

The level of a signal is its power about its mean, so that a constant offset (DC) is no sound:
every silence, level and energy of the package is measured here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from speechkit.base import digests
from speechkit.base.audio_file import SUFFIXES, AudioFile, Held, Pipe, Source
from speechkit.base.errors import AudioError
from speechkit.base.log import counted, note_once
from speechkit.base.resampler import change_speed, resample

__all__ = [
    "LOUDEST", "SUFFIXES", "AudioFile", "Held", "Info", "Pipe", "Source", "change_speed", "info",
    "is_usable", "level_db", "power", "read", "read_blocks", "resample",
]  # fmt: skip
READ_SECONDS = 10.0
LOUDEST = 1e10  # samples of 32-bit integers kept as floats are below
CANCELLED = 0.1
_BLOCK = 65536  # frames that are measured at a time
_LEAST = 2.0**-32  # power of the louder channel, of one step of 16-bit audio: else it is silent
FLOOR_DB = -200.0  # of digital silence: far below one step of 24-bit audio


@dataclass(frozen=True)
class Info:
    """What a file's header says.

    Args:
        sample_rate: in Hz.
        frames: samples per channel.
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

    Several channels are averaged, or the louder one taken (see above). Only
    the asked part is decoded, where the format allows it; of several channels once all.

    Args:
        source: audio file, one in memory, or a pipe, which is run.
        sample_rate: resample to this rate in Hz; None keeps the file's own.
        end: last second; None for the end of the file.

    Returns:
        Float32 samples ``[T]`` in -1..1, and their rate in Hz.

    Raises:
        AudioError: the file is missing, empty, cut short, not audio, holds NaN or infinite
            samples, ends before the asked part, or has a rate that cannot be resampled.
    """
    with AudioFile(source) as file:
        if not isinstance(source, Pipe | Held):
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
        # Of several channels all is decoded again where only a part was read.
        whole = file.channels > 1 and len(samples) == file.frames
        channel = channel_of_array(samples) if whole else channel_of_file(file)
    require_usable(samples, source)
    mono = to_mono(samples, channel, source)
    if sample_rate is not None:
        mono, rate = resample(mono, rate, sample_rate), sample_rate
    return mono, rate


def is_usable(samples: np.ndarray) -> np.ndarray:
    """Which samples are numbers that are audio, and whose squares can be summed in 32 bits."""
    usable: np.ndarray = np.abs(samples) <= LOUDEST
    return usable


def require_usable(samples: np.ndarray, source: Source) -> None:
    """Raise AudioError unless all of ``[n, channels]`` are numbers that are audio."""
    if not (usable := is_usable(samples).all(axis=1)).all():
        raise AudioError(
            f"{source}: has {int((~usable).sum())} of {counted(len(samples), 'sample')} NaN or "
            f"infinite, or beyond {LOUDEST:g} times full scale.",
            "Convert or record it again.",
            "nan",
        )


def louder(blocks: Iterable[np.ndarray]) -> int | None:
    """The channel to take alone; None where all are to be averaged.

    Args:
        blocks: samples of one file in order, ``[n, channels]``.
    """
    sums, squares, count = [], [], 0
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are named elsewhere
        for block in blocks:
            rows = np.array(block.T, np.float64, order="C")
            rows = np.vstack([rows, rows.sum(axis=0) / len(rows)])  # and their average
            sums.append(rows.sum(axis=1))
            squares.append(np.einsum("cn,cn->c", rows, rows))
            count += len(block)
        if not count:
            return None
        powers = np.sum(squares, axis=0) / count - np.square(np.sum(sums, axis=0) / count)
        each, average = powers[:-1], powers[-1]
        cancels = average * len(each) ** 2 < CANCELLED * each.sum() and each.max() > _LEAST
    return int(np.argmax(each)) if cancels else None


def channel_of_array(samples: np.ndarray) -> int | None:
    """As :func:`louder`, for all samples ``[n, channels]`` of a recording."""
    return louder(samples[k : k + _BLOCK] for k in range(0, len(samples), _BLOCK))


def channel_of_file(file: AudioFile) -> int | None:
    """As :func:`louder`, for an open file, which is read to its end or by its name again."""
    if file.channels == 1:
        return None
    if not isinstance(file.source, Pipe | Held):
        return channel_of_path(Path(file.source))
    file.seek(0)
    return louder(_blocks(file))


def channel_of_path(path: Path) -> int | None:
    """As :func:`louder`, for a file, which is decoded once in a process."""
    about = path.stat()
    return _channel_of_path(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=4096)
def _channel_of_path(path: Path, size: int, modified: int) -> int | None:
    with AudioFile(path) as file:
        return louder(_blocks(file))


def _blocks(file: AudioFile) -> Iterator[np.ndarray]:
    """To the end, or to where it cannot be decoded (which is named when that part is read)."""
    try:
        while len(block := file.read(_BLOCK)):
            yield block
    except AudioError:
        return


def to_mono(samples: np.ndarray, channel: int | None, path: Source) -> np.ndarray:
    """One channel ``[n]`` of ``[n, channels]``, and a note of what became of the others.

    Args:
        samples: of a file or of a part of it.
        channel: the one to take; None for the average.
    """
    count = samples.shape[1]
    if count == 1:
        return samples[:, 0]
    if channel is None:
        note_once(
            f"channels-{count}",
            f"Audio with {count} channels is averaged to one (first seen: {path}).",
        )
        return samples.mean(axis=1)
    note_once(
        f"opposite-phase-{count}",
        f"Audio with {count} channels in opposite phase, whose average would be nearly silent: "
        f"the louder channel is taken alone (first seen: {path}, channel {channel + 1}; "
        "`speechkit validate --decode` names every file).",
    )
    return samples[:, channel]


def centred(samples: np.ndarray) -> np.ndarray:
    """Samples ``[T]`` without their mean, in float64.

    Zeros at both ends are taken for padding: they have no part in the mean and stay zeros.
    Otherwise the edge of an utterance with an offset that was padded would be a sound.
    """
    wide = samples.astype(np.float64)
    sounding = samples != 0
    if sounding.any():
        part = wide[sounding.argmax() : len(wide) - sounding[::-1].argmax()]
        part -= part.mean()
    return wide


def power(samples: np.ndarray) -> float:
    """Mean square of ``[T]`` about the mean (full scale is 1)."""
    wide = centred(samples)
    return float(wide @ wide) / len(wide)


def level_db(samples: np.ndarray) -> float:
    """RMS of ``[T]`` about the mean in dB of full scale; ``FLOOR_DB`` for a constant.

    To tell silence, measure audio before it is resampled as well as after: the edges of a
    constant that is resampled are sounds, because the filter sees zeros beyond them.
    """
    return max(FLOOR_DB, 10 * math.log10(power(samples) + 1e-30))


def read_blocks(path: str | Path, seconds: float = READ_SECONDS) -> Iterator[np.ndarray]:
    """Samples of a file in order, mono as :func:`read` makes it, by blocks.

    Yields:
        Float32 samples ``[n]`` at the file's own rate.

    Raises:
        AudioError: the file is missing, empty, cut short, not audio, or holds NaN or infinite
            samples.
    """
    with AudioFile(path) as file:
        if file.frames <= 0:
            raise AudioError(f"{path}: holds no samples.", "Record or copy it again.", "empty")
        channel = channel_of_file(file)
        size, done = max(1, round(seconds * file.rate)), 0
        while len(block := file.read(size)):
            if not (usable := is_usable(block).all(axis=1)).all():
                where = (done + int(np.argmin(usable))) / file.rate
                raise AudioError(
                    f"{path}: a sample at {where:.3f} s is NaN or infinite, or beyond "
                    f"{LOUDEST:g} times full scale.",
                    "Convert or record it again.",
                    "nan",
                )
            done += len(block)
            yield to_mono(block, channel, path)
