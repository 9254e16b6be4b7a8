"""Cepstra as pocketsphinx computes them, its noise removal, and the streams of its models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SAMPLE_RATE = 16000
WINDOW, SHIFT, FFT = 410, 160, 512  # samples; 100 frames a second
CEPSTRA = 13
_PREEMPHASIS = 0.97
_INT16 = 32768.0
_LOG_FLOOR = 1e-4
# Of the noise removal.
_SMOOTHING = 0.7  # of the power, per frame
_RISE, _FALL = 0.005, 0.5  # how far an envelope follows a value above or below it
_DECAY = 0.85  # of the masking peak, per frame
_MASKED = 0.2  # of the peak, what stands for a masked value
_MAX_GAIN = 20.0
_REACH = 4  # filters on either side over which gains are averaged


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
        # All full windows, and a last one filled up with zeros.
        frames = max(0, (len(sharp) - WINDOW) // SHIFT + 1) + 1
        padded = np.zeros((frames - 1) * SHIFT + WINDOW)
        padded[: min(len(sharp), len(padded))] = sharp[: len(padded)]
        windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::SHIFT]
        spectrum = np.fft.rfft(windows * self._window, FFT)
        return (spectrum.real**2 + spectrum.imag**2) @ self._filters


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


def remove_noise(spectra: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Mel spectra ``[T, F]`` (float64) with the noise removed, each by itself.

    It follows a smoothed power spectrum by a lower envelope (Doblinger, Eurospeech 1995), takes
    that as noise, masks what follows a peak (as PNCC, Kim and Stern 2012), and multiplies the
    mel spectrum by the resulting gain, smoothed over neighbouring filters.

    Only the recursions run frame by frame, over all recordings and filters at once; the rest
    is done for all frames together.
    """
    longest = max(len(spectrum) for spectrum in spectra)
    filters = spectra[0].shape[1]
    mel = np.zeros((longest, len(spectra), filters))
    for number, spectrum in enumerate(spectra):
        mel[: len(spectrum), number] = spectrum
    power, signal = _track(mel)
    # Silence that is digital zero has no power, and nothing to be amplified.
    gain = np.divide(signal, power, out=np.full_like(power, _MAX_GAIN), where=power > 0)
    np.copyto(gain, _MAX_GAIN, where=signal >= _MAX_GAIN * power)
    np.maximum(gain, 1 / _MAX_GAIN, out=gain)
    mel *= _average(gain)
    return [mel[: len(spectrum), number] for number, spectrum in enumerate(spectra)]


def _track(mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smoothed power, and the part of it that is not noise, both like ``mel [T, B, F]``."""
    powers, signals = np.empty_like(mel), np.empty_like(mel)
    power = mel[0].copy()
    envelopes = np.stack([mel[0], mel[0]]) / _MAX_GAIN
    noise, floor = envelopes
    peak = np.zeros_like(power)
    step, small = np.empty_like(power), np.empty_like(power)
    fresh = (1 - _SMOOTHING) * mel
    for frame in range(len(mel)):
        power *= _SMOOTHING
        power += fresh[frame]
        powers[frame] = power
        _follow(noise, power, step, small)
        signal = signals[frame]
        np.subtract(power, noise, out=signal)
        np.maximum(signal, 1.0, out=signal)
        _follow(floor, signal, step, small)
        peak *= _DECAY
        np.multiply(peak, _DECAY, out=step)
        masked = signal < step
        np.multiply(peak, _MASKED, out=step)
        np.maximum(peak, signal, out=peak)
        np.copyto(signal, step, where=masked)
        np.maximum(signal, floor, out=signal)
    return powers, signals


def _follow(envelope: np.ndarray, value: np.ndarray, step: np.ndarray, small: np.ndarray) -> None:
    """Move an envelope slowly up or quickly down towards a value, in place."""
    np.subtract(value, envelope, out=step)
    np.multiply(step, _RISE, out=small)
    step *= _FALL
    # Above the envelope the slow step is the smaller one; below, the quick one.
    np.minimum(step, small, out=step)
    envelope += step


def _average(gain: np.ndarray) -> np.ndarray:
    """Mean over up to 4 filters on either side, fewer at the ends."""
    filters = gain.shape[-1]
    apart = np.abs(np.arange(filters)[:, None] - np.arange(filters))
    near = (apart <= _REACH).astype(gain.dtype)
    return gain @ (near / near.sum(0))
