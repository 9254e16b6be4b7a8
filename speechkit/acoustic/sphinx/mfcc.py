"""Cepstra as pocketsphinx computes them, and the three streams that its models see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from speechkit.acoustic.sphinx.noise import remove_noise

SAMPLE_RATE = 16000
WINDOW, SHIFT, FFT = 410, 160, 512  # samples; 100 frames a second
CEPSTRA = 13
_PREEMPHASIS = 0.97
_INT16 = 32768.0
_LOG_FLOOR = 1e-4


class Mfcc:
    """Mel cepstra of recordings at 16 kHz.

    Pre-emphasis 0.97, Hamming windows of 410 samples every 160, power spectrum of 512 points,
    triangular mel filters of unit area, noise removal, logarithm, orthonormal DCT-II, liftering.

    Args:
        low: lower edge of the first filter in Hz.
        high: upper edge of the last filter in Hz.
        filters: number of mel filters.
        lifter: L in ``1 + L/2 sin(pi i / L)``; 0 for none.
        denoise: remove noise, as ``remove_noise yes`` in ``feat.params``.
    """

    def __init__(self, low: float, high: float, filters: int, lifter: int, denoise: bool) -> None:
        self.denoise = denoise
        # numpy.hamming(410) has the denominator 409, as pocketsphinx has.
        self._window = np.hamming(WINDOW)
        self._filters = mel_filters(low, high, filters)
        angles = np.pi * np.arange(CEPSTRA)[:, None] * (np.arange(filters) + 0.5) / filters
        cosines = np.cos(angles) * np.sqrt(2.0 / filters)
        cosines[0] /= np.sqrt(2.0)
        if lifter:
            steps = np.pi * np.arange(CEPSTRA) / lifter
            cosines *= (1 + lifter / 2 * np.sin(steps))[:, None]
        self._cosines = cosines.T

    def cepstra(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Cepstra ``[T, 13]`` (float64) of each of several recordings.

        Args:
            waves: float samples ``[N]`` in -1..1, each of at least one sample.
        """
        spectra = [self._mel_spectrum(wave) for wave in waves]
        if self.denoise:
            spectra = remove_noise(spectra)
        return [np.log(spectrum + _LOG_FLOOR) @ self._cosines for spectrum in spectra]

    def _mel_spectrum(self, wave: np.ndarray) -> np.ndarray:
        """Mel spectrum ``[T, filters]``; the last frame may be filled up with zeros."""
        samples = np.asarray(wave, np.float64) * _INT16
        sharp = samples.copy()
        sharp[1:] -= _PREEMPHASIS * samples[:-1]
        frames = frame_count(len(sharp))
        padded = np.zeros((frames - 1) * SHIFT + WINDOW)
        padded[: min(len(sharp), len(padded))] = sharp[: len(padded)]
        windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::SHIFT]
        spectrum = np.fft.rfft(windows * self._window, FFT)
        return (spectrum.real**2 + spectrum.imag**2) @ self._filters


def frame_count(samples: int) -> int:
    """Frames of a recording: all full windows, and a last one filled up with zeros."""
    return max(0, (samples - WINDOW) // SHIFT + 1) + 1


def mel_filters(low: float, high: float, filters: int) -> np.ndarray:
    """Triangular filters of unit area ``[257, filters]``, their edges rounded to FFT bins."""

    def mel(hz: float) -> float:
        return 2595 * np.log10(1 + hz / 700)

    steps = np.linspace(mel(low), mel(high), filters + 2)
    hz = 700 * (10 ** (steps / 2595) - 1)
    bin_width = SAMPLE_RATE / FFT
    edges = np.floor(hz / bin_width + 0.5) * bin_width
    bins = np.arange(FFT // 2 + 1)[:, None] * bin_width
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (right - left)


def streams(cepstra: np.ndarray) -> np.ndarray:
    """Cepstra, differences and second differences, ``[3, T, 13]``, mean-normalised.

    The mean is that of the frames whose c0 is not negative, as pocketsphinx takes it
    (``cmn batch``); differences reach over 4 frames, second ones over 6; edges are repeated.
    """
    loud = cepstra[:, 0] >= 0
    static = cepstra - cepstra[loud].mean(0) if loud.any() else cepstra
    frames = len(static)
    padded = np.concatenate([static[:1].repeat(3, 0), static, static[-1:].repeat(3, 0)])

    def at(shift: int) -> np.ndarray:
        return padded[3 + shift : 3 + shift + frames]

    second = (at(3) - at(-1)) - (at(1) - at(-3))
    return np.stack([static, at(2) - at(-2), second])
