"""Noise removal of pocketsphinx's front end, for many recordings at a time.

It follows a smoothed power spectrum by a lower envelope (Doblinger, Eurospeech 1995), takes
that as noise, masks what follows a peak (as PNCC, Kim and Stern 2012), and multiplies the mel
spectrum by the resulting gain, smoothed over neighbouring filters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_SMOOTHING = 0.7  # of the power, per frame
_RISE, _FALL = 0.005, 0.5  # how far an envelope follows a value above or below it
_DECAY = 0.85  # of the masking peak, per frame
_MASKED = 0.2  # of the peak, what stands for a masked value
_MAX_GAIN = 20.0
_REACH = 4  # filters on either side over which gains are averaged


def remove_noise(spectra: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Mel spectra ``[T, F]`` (float64) with the noise removed, each by itself.

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
