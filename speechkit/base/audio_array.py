"""Samples in memory, as :mod:`speechkit.base.audio` gives those of a file.

A file of 16 bits and the int16 array of its samples become the same numbers to the bit, and so do
files of 8 and 32 bits and of floats.
"""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from typing import Any

import numpy as np

from speechkit.base.audio import READ_SECONDS, channel_of_array, require_usable, to_mono
from speechkit.base.errors import AudioError
from speechkit.base.resampler import check_rates

_SILENCE_AND_SCALE = {"int16": (0, 2**15), "int32": (0, 2**31), "uint8": (2**7, 2**7)}
_FLOATS = ("float16", "float32", "float64")
_MOST_CHANNELS = 64


def mono(samples: Any, sample_rate: int, name: str) -> np.ndarray:
    """Float32 ``[N]``, full scale 1, of samples of any kind.

    Args:
        samples: ``[N]`` or ``[channels, N]`` (averaged, or the louder channel taken where they
            cancel); floats of full scale 1, or int16, int32 or uint8.
        sample_rate: in Hz.
        name: of the recording, for messages.

    Raises:
        AudioError: another kind or shape, no samples, NaN, or a rate that cannot be.
    """
    if isinstance(samples, str | bytes | PathLike):
        raise AudioError(
            f"{name}: a path is given ({samples!r}), not samples.",
            "Read it first: samples, rate = soundfile.read(PATH), then give samples.T.",
        )
    try:
        given = np.asarray(samples)
    except (ValueError, TypeError, RuntimeError) as error:  # of tensors with gradients, of a GPU
        raise AudioError(f"{name}: the samples are no array of numbers ({error}).") from error
    kind = given.dtype.name
    if kind not in (*_FLOATS, *_SILENCE_AND_SCALE):
        raise AudioError(
            f"{name}: the samples are {kind}.",
            f"Accepted: {', '.join(_FLOATS)} of full scale 1, int16, int32, uint8.",
        )
    if given.ndim not in (1, 2) or (given.ndim == 2 and len(given) > _MOST_CHANNELS):
        raise AudioError(
            f"{name}: the samples have the shape {given.shape}.",
            f"Accepted: [N], or [channels, N] with at most {_MOST_CHANNELS} channels; transpose "
            "[N, channels].",
        )
    if not given.size:
        raise AudioError(f"{name}: holds no samples.", "Record it again.", "empty")
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, int | np.integer):
        raise AudioError(
            f"{name}: {sample_rate!r} is not a sample rate.", "Give it in Hz, as an integer: 16000."
        )
    check_rates(int(sample_rate))
    frames = np.ascontiguousarray(np.atleast_2d(given).T)
    if kind in _SILENCE_AND_SCALE:
        silence, scale = _SILENCE_AND_SCALE[kind]
        frames = (frames.astype(np.float32) - np.float32(silence)) / np.float32(scale)
    with np.errstate(over="ignore"):  # what is infinite then is refused
        frames = frames.astype(np.float32, copy=False)
    require_usable(frames, name)
    channel = channel_of_array(frames) if frames.shape[1] > 1 else None
    return np.require(to_mono(frames, channel, name), requirements=("C", "W"))  # as torch wants


def blocks(samples: np.ndarray, sample_rate: int) -> Iterator[np.ndarray]:
    """Samples ``[N]`` cut as :func:`speechkit.base.audio.read_blocks` cuts those of a file."""
    size = max(1, round(READ_SECONDS * sample_rate))
    yield from (samples[k : k + size] for k in range(0, len(samples), size))
