"""Long audio by blocks: read, resample without seams, write 16-bit WAV."""

from __future__ import annotations

import wave
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from math import ceil, gcd
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from speechkit import audio
from speechkit.errors import AudioError, UserError
from speechkit.log import note_once

READ_SECONDS = 10.0
FULL_SCALE = 32767 / 32768  # the largest 16-bit sample
_WIDEST = 2**31  # bytes of samples that a WAV file of this module may hold


def read_blocks(path: str | Path, seconds: float = READ_SECONDS) -> Iterator[np.ndarray]:
    """Samples of a file in order, mono (channels are averaged), a block at a time.

    Args:
        path: audio file.
        seconds: length of a block.

    Yields:
        Float32 samples ``[n]`` at the file's own rate.

    Raises:
        AudioError: the file is missing, empty, cut short, not audio, or holds NaN or infinite
            samples.
    """
    import soundfile

    found = audio.info(path)
    if found.channels > 1:
        note_once(
            f"channels-{found.channels}",
            f"Audio with {found.channels} channels is averaged to one (first seen: {path}).",
        )
    size, done = max(1, round(seconds * found.sample_rate)), 0
    try:
        with soundfile.SoundFile(str(path)) as file:
            while len(block := file.read(size, dtype="float32", always_2d=True)):
                if not (usable := audio.is_usable(block).all(axis=1)).all():
                    where = (done + int(np.argmin(usable))) / found.sample_rate
                    raise AudioError(
                        f"{path}: a sample at {where:.3f} s is NaN or infinite, or beyond "
                        f"{audio.LOUDEST:g} times full scale.",
                        "Convert or record it again.",
                        "nan",
                    )
                mono = block.mean(axis=1) if found.channels > 1 else block[:, 0]
                done += len(mono)
                yield mono
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(f"{path}: cannot be decoded as audio ({error}).") from error
    if done < found.frames:
        raise AudioError(
            f"{path}: is cut short: {done} of {found.frames} samples can be decoded.",
            "Copy it again.",
            "cut",
        )


def resample_blocks(blocks: Iterable[np.ndarray], rate: int, new_rate: int) -> Iterator[np.ndarray]:
    """Resample a signal that comes in blocks; the same as resampling it whole.

    The filter of :func:`speechkit.audio.resample` sees a few samples around each one. So each
    block is resampled with that many of its neighbours, whose own results are dropped. Blocks
    are cut at multiples of the reduced rate, where the filter's phase starts again.

    Args:
        blocks: ``[..., n]`` in order, along the last axis.
        rate: in Hz.
        new_rate: in Hz.

    Yields:
        ``[..., m]``; together ``ceil(T * new_rate / rate)`` samples.
    """
    if rate == new_rate:
        yield from blocks
        return
    step, new_step = rate // gcd(rate, new_rate), new_rate // gcd(rate, new_rate)
    # torchaudio's kernel reaches lowpass_filter_width = 6 zero crossings, and one step more.
    context = step * ceil((6 * step / (0.99 * min(step, new_step)) + 1) / step + 1)
    kept, done = np.zeros(0, np.float32), 0  # `done` samples of `kept` have been resampled
    for block in blocks:
        kept = block if not kept.size else np.concatenate([kept, block], axis=-1)
        ready = (kept.shape[-1] - context) // step * step
        if ready <= done:
            continue
        resampled = audio.resample(kept[..., : ready + context], rate, new_rate)
        yield resampled[..., done // step * new_step : ready // step * new_step]
        drop = max(0, ready - context)
        kept, done = kept[..., drop:], ready - drop
    if kept.shape[-1] > done:
        yield audio.resample(kept, rate, new_rate)[..., done // step * new_step :]


class WavWriter:
    """A mono 16-bit WAV file, written as samples come.

    Args:
        file: open for writing bytes; a full disk is then an OSError. It is left open.
        rate: in Hz.
    """

    def __init__(self, file: IO[bytes], rate: int) -> None:
        self._file = wave.Wave_write(file)
        self._file.setnchannels(1)
        self._file.setsampwidth(2)
        self._file.setframerate(rate)

    def __enter__(self) -> WavWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The header is finished here; where writing failed already, that was said.
        with suppress(OSError) if kind is not None else nullcontext():
            self._file.close()

    def write(self, samples: np.ndarray) -> None:
        """Append samples ``[n]`` in -1..1; what lies outside is clipped."""
        steps = np.clip(np.round(samples * 32768.0), -32768, 32767).astype("<i2")
        self._file.writeframesraw(steps.tobytes())


def check_wav_length(path: Path, frames: int, rate: int) -> None:
    """Raise UserError if a mono 16-bit file of so many samples is too long for a WAV header."""
    if 2 * frames >= _WIDEST:
        hours = _WIDEST / 2 / rate / 3600
        raise UserError(
            f"{path}: is {frames / rate / 3600:.1f} h long, too long for one WAV file.",
            f"Split it into parts of at most {hours:.1f} h.",
        )
