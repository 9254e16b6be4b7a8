"""One channel of several: their average, or the louder one where they are in opposite phase.

Let N channels hold one voice with powers P_i, each with its own noise of the same power. The
average has the power P of the voice and 1/N of the noise, so its signal-to-noise ratio is

    q = N^2 P / sum P_i

times the mean of the channels': N for equal channels, 1 for unrelated ones, 0 where they
cancel. Below ``CANCELLED`` averaging costs more than 10 dB, and the louder channel is taken
as it is. For two channels q = 1 + 2 c / (P_1 + P_2) with their covariance c: they are then
correlated by less than -0.9, which two microphones in one room are not unless one of them is
wired the wrong way round. A file is judged whole, so that all its parts are treated alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from speechkit.base.audio_file import AudioFile, Pipe, Source
from speechkit.base.errors import AudioError
from speechkit.base.log import note_once

CANCELLED = 0.1
_BLOCK = 65536  # frames that are measured at a time
_LEAST = 2.0**-32  # power of the louder channel, of one step of 16-bit audio: else it is silent


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


def choose(file: AudioFile, samples: np.ndarray) -> int | None:
    """As :func:`louder`, for the whole file.

    Args:
        file: it, open.
        samples: what was read of it, ``[n, channels]``: decoded twice only if it is a part.
    """
    if samples.shape[1] == 1:
        return None
    if len(samples) == file.frames:
        return louder(samples[k : k + _BLOCK] for k in range(0, len(samples), _BLOCK))
    return of_file(file)


def of_file(file: AudioFile) -> int | None:
    """As :func:`louder`, for an open file, which is read to its end or by its name again."""
    if file.channels == 1:
        return None
    if not isinstance(file.source, Pipe):
        return of_path(Path(file.source))
    file.seek(0)
    return louder(_blocks(file))


def of_path(path: Path) -> int | None:
    """As :func:`louder`, for a file, which is decoded once in a process."""
    about = path.stat()
    return _of_path(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=4096)
def _of_path(path: Path, size: int, modified: int) -> int | None:
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
        path: of the file.
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
