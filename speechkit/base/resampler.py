"""Resampling: torchaudio's windowed sinc where its kernel is small, soxr for all other rates.

torchaudio keeps a filter for every output sample of a period: ``new_rate`` filters longer than
``rate``, both divided by what they share. From 44,100 to 16,000 Hz these are 160 filters of 475
samples, from 7,999 to 16,000 Hz 16,000 of 8,013, half a gigabyte, and eight times that while
they are made. soxr interpolates its filters, needs a few MiB for any rates, and takes a signal
by blocks with the very result of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from math import ceil, gcd, prod
from typing import TYPE_CHECKING

import numpy as np

from speechkit.base.errors import AudioError

if TYPE_CHECKING:
    import torch

LOWEST, HIGHEST = 1_000, 10_000_000  # Hz
KERNEL_BYTES = 2**22
"""Largest kernel. The largest of 8, 11.025, 16, 22.05, 24, 32, 44.1, 48 and 96 kHz among each
other has 2.3 MB."""
_KEPT_BYTES = 2**27  # of all kernels that are kept
_QUALITY = "HQ"  # of soxr: stop band at -120 dB, for 16-bit audio and more


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Resample float32 ``[..., T]`` to ``[..., ceil(T * new_rate / rate)]``.

    Args:
        rate: in Hz.
        new_rate: in Hz.

    Raises:
        AudioError: a rate outside 1,000 Hz to 10 MHz.
    """
    if rate == new_rate:
        return samples
    check_rates(rate, new_rate)
    return _resample(samples, rate, new_rate)


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """Faster (factor > 1) with higher pitch, as ``sox speed``: by resampling ``[T]``.

    Raises:
        AudioError: a factor outside 0.01 to 100.
    """
    if factor == 1:
        return samples
    if not 0.01 <= factor <= 100:
        raise AudioError(f"Audio cannot be {factor:g} times as fast.", "Accepted: 0.01 to 100.")
    ratio = Fraction(factor).limit_denominator(100)
    return _resample(samples, ratio.numerator, ratio.denominator)


def check_rates(*rates: int) -> None:
    """Raise AudioError for a rate that audio is not resampled from or to."""
    for rate in rates:
        if not LOWEST <= rate <= HIGHEST:
            raise AudioError(
                f"A sample rate of {rate:,} Hz cannot be resampled.",
                f"Accepted: {LOWEST:,} to {HIGHEST:,} Hz. If the header of the file names a wrong "
                "rate, write it again with the true one.",
            )


def has_small_kernel(rate: int, new_rate: int) -> bool:
    """Whether torchaudio resamples: its kernel has at most ``KERNEL_BYTES``."""
    step, new_step = rate // gcd(rate, new_rate), new_rate // gcd(rate, new_rate)
    width = ceil(6 * step / (0.99 * min(step, new_step)))  # lowpass_filter_width, rolloff
    return 4 * new_step * (step + 2 * width) <= KERNEL_BYTES


def stream(blocks: Iterable[np.ndarray], rate: int, new_rate: int) -> Iterator[np.ndarray]:
    """Resample a signal that comes in blocks by soxr; equal to the bit however it is cut.

    Args:
        blocks: float32 ``[..., n]`` in order, along the last axis.
        rate: in Hz.
        new_rate: in Hz.

    Yields:
        ``[..., m]``; together ``ceil(T * new_rate / rate)`` samples.
    """
    import soxr

    engine, leading, taken, given = None, (), 0, 0
    for block in blocks:
        if engine is None:
            leading = block.shape[:-1]
            engine = soxr.ResampleStream(rate, new_rate, prod(leading), "float32", _QUALITY)
        taken += block.shape[-1]
        frames = np.ascontiguousarray(block.reshape(prod(leading), block.shape[-1]).T, np.float32)
        found = engine.resample_chunk(frames)
        given += len(found)
        if len(found):
            yield found.T.reshape(*leading, len(found))
    if engine is not None:
        # Zeros follow, as behind the end for torchaudio: soxr itself would round the length.
        zeros = np.zeros((ceil(rate / new_rate) + 1, prod(leading)), np.float32)
        found = engine.resample_chunk(zeros, last=True)[: -(-taken * new_rate // rate) - given]
        yield found.T.reshape(*leading, len(found))


def _resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    if not has_small_kernel(rate, new_rate):
        return np.concatenate(list(stream([samples], rate, new_rate)), axis=-1)
    import torch

    with torch.inference_mode():
        whole = torch.from_numpy(np.ascontiguousarray(samples))
        return kernel(rate, new_rate)(whole).numpy()


@lru_cache(maxsize=_KEPT_BYTES // KERNEL_BYTES)
def kernel(rate: int, new_rate: int) -> torch.nn.Module:
    """A kept ``torchaudio.transforms.Resample``, for rates that have a small kernel."""
    import torch
    import torchaudio

    with torch.inference_mode(False):  # the kept kernel may be asked for gradients later
        return torchaudio.transforms.Resample(rate, new_rate)


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
    check_rates(rate, new_rate)
    if not has_small_kernel(rate, new_rate):
        yield from stream(blocks, rate, new_rate)
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
        resampled = resample(kept[..., : ready + context], rate, new_rate)
        yield resampled[..., done // step * new_step : ready // step * new_step]
        drop = max(0, ready - context)
        kept, done = kept[..., drop:], ready - drop
    if kept.shape[-1] > done:
        yield resample(kept, rate, new_rate)[..., done // step * new_step :]
