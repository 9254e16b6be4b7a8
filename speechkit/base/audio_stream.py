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

from speechkit.base import audio, channels, resampler
from speechkit.base.errors import AudioError, UserError

READ_SECONDS = 10.0
FULL_SCALE = 32767 / 32768  # the largest 16-bit sample
_WIDEST = 2**31  # bytes of samples that a WAV file of this module may hold


def read_blocks(path: str | Path, seconds: float = READ_SECONDS) -> Iterator[np.ndarray]:
    """Samples of a file in order, mono as :func:`speechkit.base.audio.read` makes it, by blocks.

    Args:
        path: audio file.
        seconds: length of a block.

    Yields:
        Float32 samples ``[n]`` at the file's own rate.

    Raises:
        AudioError: the file is missing, empty, cut short, not audio, or holds NaN or infinite
            samples.
    """
    with audio.AudioFile(path) as file:
        if file.frames <= 0:
            raise AudioError(f"{path}: holds no samples.", "Record or copy it again.", "empty")
        channel = channels.of_file(file)
        size, done = max(1, round(seconds * file.rate)), 0
        while len(block := file.read(size)):
            if not (usable := audio.is_usable(block).all(axis=1)).all():
                where = (done + int(np.argmin(usable))) / file.rate
                raise AudioError(
                    f"{path}: a sample at {where:.3f} s is NaN or infinite, or beyond "
                    f"{audio.LOUDEST:g} times full scale.",
                    "Convert or record it again.",
                    "nan",
                )
            done += len(block)
            yield channels.to_mono(block, channel, path)


def resample_blocks(blocks: Iterable[np.ndarray], rate: int, new_rate: int) -> Iterator[np.ndarray]:
    """Resample a signal that comes in blocks; the same as resampling it whole.

    The filter of torchaudio (:mod:`speechkit.base.resampler`) sees a few samples around each
    one. So each block is resampled with that many of its neighbours, whose own results are
    dropped. Blocks are cut at multiples of the reduced rate, where the filter's phase starts again.

    Args:
        blocks: ``[..., n]`` in order, along the last axis.
        rate: in Hz.
        new_rate: in Hz.

    Yields:
        ``[..., m]``; together ``ceil(T * new_rate / rate)`` samples.

    Raises:
        AudioError: a rate outside 1,000 Hz to 10 MHz.
    """
    if rate == new_rate:
        yield from blocks
        return
    resampler.check_rates(rate, new_rate)
    if not resampler.has_small_kernel(rate, new_rate):
        yield from resampler.stream(blocks, rate, new_rate)
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
