"""Log mel features of the acoustic network: Kaldi's filterbank in plain PyTorch."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from speechkit.acoustic.config import SHIFT_S as SHIFT_S
from speechkit.acoustic.config import WINDOW_S as WINDOW_S
from speechkit.acoustic.config import FeatureConfig as FeatureConfig
from speechkit.base.errors import UserError

_BLOCK = 8192  # frames whose spectra are in memory together
_NOTHING = 7.0  # log energies of -100 dB of full scale, quieter than a bit of 16 is noisy
_UNRECORDED = 25  # frames: shorter gaps stand in ordinary recordings


class _Tables(NamedTuple):
    window: Tensor  # [samples of a frame]
    filters: Tensor  # [bins of the spectrum, filters]
    shift: int


def log_mel(samples: np.ndarray, config: FeatureConfig, speed: float = 1.0) -> Tensor:
    """Features ``[T, n_mels]`` of mono samples ``[N]`` in -1..1 at the configured rate.

    As Kaldi's ``compute-fbank-feats`` without dither, with a Hamming window: frames of 25 ms
    every 10 ms from the first sample on, their mean taken away, pre-emphasis 0.97, power
    spectrum, triangular filters equally wide in mel = 1127 ln(1 + f / 700). The logarithm is
    of the energy + 1 with samples scaled to 16 bits, which is below one bit of noise. The
    last frame, which the audio no longer fills, is filled with zeros (Kaldi leaves it out):
    ``T = 1 + ceil((N - window) / shift)``.

    Args:
        speed: features as if the audio had been resampled to be played this much faster, with
            higher pitch. Instead of the audio, frames and filters are stretched: no
            resampling, and the filterbank costs the same. Frame t then has its centre at
            sample ``frame_centres(...)[t]``.

    Raises:
        UserError: the audio is shorter than one frame.
    """
    window, filters, shift = _tables(config, speed)
    if len(samples) < len(window):
        raise UserError(
            f"The audio has {len(samples) / config.sample_rate:.3f} s, less than one frame of "
            f"{len(window) / config.sample_rate:.3f} s.",
            "Give a longer recording.",
        )
    frames = count_frames(len(samples), config, speed)
    wave = torch.zeros((frames - 1) * shift + len(window))
    wave[: len(samples)] = torch.from_numpy(np.ascontiguousarray(samples, np.float32)) * 32768
    blocks = []
    for first in range(0, frames, _BLOCK):
        part = wave[first * shift : (min(first + _BLOCK, frames) - 1) * shift + len(window)]
        blocks.append(_energies(part.unfold(0, len(window), shift), window, filters))
    return _normalise(torch.cat(blocks), config.normalise)


def _energies(frames: Tensor, window: Tensor, filters: Tensor) -> Tensor:
    """Log energies ``[T, filters]`` of raw frames ``[T, samples]``."""
    frames = frames - frames.mean(1, keepdim=True)
    previous = torch.cat([frames[:, :1], frames[:, :-1]], 1)
    spectrum = torch.fft.rfft((frames - 0.97 * previous) * window, _fft_size(len(window)))
    power = spectrum.real.square() + spectrum.imag.square()
    return torch.log(power[:, : len(filters)] @ filters + 1)


def _normalise(features: Tensor, how: str) -> Tensor:
    if how == "none":
        return features
    recorded = _recorded(features)
    features = features - features[recorded].mean(0)
    if how == "mean-variance":
        features = features / features[recorded].square().mean(0).sqrt().clamp(min=0.1)
    return features


def _recorded(features: Tensor) -> Tensor:
    """Which frames ``[T]`` a microphone recorded; all, if it recorded none.

    Noise gates and browsers write zeros until somebody speaks. Among speech they would move the
    mean so far that none of it is recognised.
    """
    nothing = (features.amax(1) < _NOTHING).numpy()
    recorded = np.ones(len(nothing), bool)
    edges = np.flatnonzero(np.diff(nothing, prepend=False, append=False)).reshape(-1, 2)
    for first, behind in edges:
        recorded[first:behind] = behind - first < _UNRECORDED
    return torch.from_numpy(recorded | ~recorded.any())


def count_frames(samples: int, config: FeatureConfig, speed: float = 1.0) -> int:
    """Frames of that many samples (at least one window)."""
    window, _, shift = _tables(config, speed)
    return 1 + max(0, math.ceil((samples - len(window)) / shift))


def frame_centres(frames: int, config: FeatureConfig, speed: float = 1.0) -> np.ndarray:
    """Centres ``[frames]`` of the frames in seconds of the unperturbed audio."""
    window, _, shift = _tables(config, speed)
    return (np.arange(frames) * shift + len(window) / 2) / config.sample_rate


def _fft_size(window: int) -> int:
    return 1 << (window - 1).bit_length()


@lru_cache(maxsize=16)
def _tables(config: FeatureConfig, speed: float) -> _Tables:
    length = round(config.window * speed)
    window = torch.hamming_window(length, periodic=False)
    size = _fft_size(length)
    # A bin of the original's spectrum lies higher once the audio is played faster.
    hertz = np.arange(size // 2 + 1) * config.sample_rate / size * speed
    low, high = _mel(np.array([config.low_hz, config.top_hz]))
    edges = np.linspace(low, high, config.n_mels + 2)
    position = _mel(hertz)[:, None]
    rising = (position - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - position) / (edges[2:] - edges[1:-1])
    filters = np.clip(np.minimum(rising, falling), 0, None)
    return _Tables(
        window, torch.from_numpy(filters.astype(np.float32)), round(config.shift * speed)
    )


def _mel(hertz: np.ndarray) -> np.ndarray:
    return 1127 * np.log1p(hertz / 700)
