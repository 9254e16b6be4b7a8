"""The level of a signal: its power about its mean, so that a constant offset (DC) is no sound.

Every silence, level and energy of the package is measured here.
"""

from __future__ import annotations

import math

import numpy as np

FLOOR_DB = -200.0  # of digital silence: far below one step of 24-bit audio


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
