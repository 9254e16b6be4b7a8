"""Durations, pauses, energy and pitch of aligned phones.

Nothing here is estimated on a set of recordings: a row depends on its own recording only, so
that training and prediction see the same. Means over a corpus are for the trainer.
"""

from __future__ import annotations

import math

import numpy as np

from speechkit.base.audio import centred
from speechkit.speaker.prosody import praat

PITCH = ("f0", "f0_slope", "f0_range", "voiced")  # those that need Praat
COLUMNS = (
    *("log_duration", "relative_duration", "rate", "speech_share"),
    *("pause_before", "pause_after", "energy", *PITCH),
    *("place_in_word", "word_length"),
)
"""Natural logarithms of seconds, phones a second and phones; energy in units of 10 dB; f0 in
octaves (per phone). See :func:`prosody_block`."""

F0_MIN, F0_MAX = 75.0, 600.0  # Hz, as in extract-prosody
F0_STEP = 0.01  # seconds
PAUSE_UNIT = 0.1  # seconds: shorter pauses count in proportion, longer ones logarithmically
FLOOR_DB = -100.0


def pitch_track(samples: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds and log2 of f0 in Hz, NaN where unvoiced (Praat's autocorrelation)."""
    parselmouth = praat()
    wide = samples.astype(np.float64)
    ceiling = min(F0_MAX, 0.45 * rate)
    if len(wide) / rate <= 3 / F0_MIN + 1e-3:  # shorter than Praat's window
        return np.empty(0), np.empty(0)
    sound = parselmouth.Sound(wide, rate)
    pitch = sound.to_pitch_ac(time_step=F0_STEP, pitch_floor=F0_MIN, pitch_ceiling=ceiling)
    f0 = pitch.selected_array["frequency"]
    with np.errstate(divide="ignore"):
        return pitch.xs(), np.where(f0 > 0, np.log2(f0), np.nan)


def columns(pitch: bool = True) -> tuple[str, ...]:
    """Names of the columns, with or without those of pitch."""
    return tuple(name for name in COLUMNS if pitch or name not in PITCH)


def prosody_block(
    samples: np.ndarray,
    rate: int,
    starts: np.ndarray,
    ends: np.ndarray,
    words: np.ndarray,
    pitch: bool = True,
) -> np.ndarray:
    """Rows ``[P, 13]`` (:data:`COLUMNS`; without pitch 9) of the aligned phones of a recording.

    - ``log_duration``; ``relative_duration``: less the utterance's mean log duration
    - ``rate``: log of phones per second of speech; ``speech_share``: log of the phones'
      share of the time from the first to the last. Both are the same for all phones.
    - ``pause_before``, ``pause_after``: log(1 + pause / 0.1 s) to the neighbouring phones, and
      to the ends of the recording
    - ``energy``: of the phone, about the recording's mean sample, relative to the mean over all
      phones in dB, / 10
    - ``f0``: median, relative to the recording's; ``f0_slope``: least-squares change over the
      phone; ``f0_range``: highest less lowest; ``voiced``: share of voiced frames. Without
      voiced frames the first three are 0.
    - ``place_in_word``: 0 first to 1 last (0.5 if alone); ``word_length``: log of its phones

    Args:
        samples: mono ``[T]`` in -1..1.
        rate: in Hz.
        starts, ends: of the P aligned phones in seconds, ascending.
        words: index of each phone's word.
        pitch: with the columns of pitch.
    """
    logs = np.log(np.maximum(ends - starts, 1e-3))
    total = float((ends - starts).sum())
    span = max(float(ends[-1] - starts[0]), total, 1e-3)
    gaps = np.concatenate([[starts[0]], starts[1:] - ends[:-1], [len(samples) / rate - ends[-1]]])
    pauses = np.log1p(np.maximum(gaps, 0.0) / PAUSE_UNIT)
    count = len(starts)
    place, length = _places(words)
    found = [
        logs,
        logs - logs.mean(),
        np.full(count, math.log(count / max(total, 1e-3))),
        np.full(count, math.log(max(total, 1e-3) / span)),
        pauses[:-1],
        pauses[1:],
        _energies(samples, rate, starts, ends),
        *(_pitches(samples, rate, starts, ends) if pitch else ()),
        place,
        length,
    ]
    return np.stack(found, axis=1)


def _energies(samples: np.ndarray, rate: int, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    sums = np.concatenate([[0.0], np.cumsum(np.square(centred(samples)))])
    first = np.clip((starts * rate).astype(int), 0, len(samples))
    last = np.clip((ends * rate).astype(int), first, len(samples))
    power = (sums[last] - sums[first]) / np.maximum(last - first, 1)
    level = 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))
    return (level - level.mean()) / 10


def _pitches(
    samples: np.ndarray, rate: int, starts: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Median, slope, range and voiced share of every segment, each ``[P]``."""
    times, f0 = pitch_track(samples, rate)
    voiced = np.isfinite(f0)
    middle = float(np.median(f0[voiced])) if voiced.any() else 0.0
    found = np.zeros((4, len(starts)))
    for p, (start, end) in enumerate(zip(starts, ends, strict=True)):
        first, last = np.searchsorted(times, (start, end))
        inside = voiced[first:last]
        if not inside.any():
            continue
        values, at = f0[first:last][inside] - middle, times[first:last][inside]
        at = at - at.mean()
        spread = float((at**2).sum())
        slope = float((at * values).sum()) / spread * (end - start) if spread > 0 else 0.0
        found[:, p] = np.median(values), slope, np.ptp(values), inside.mean()
    return found[0], found[1], found[2], found[3]


def _places(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place of every phone in its word (0..1), and log of the word's phones."""
    _, first, inverse, counts = np.unique(
        words, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.arange(len(words)) - first[inverse]
    size = counts[inverse]
    return np.where(size > 1, order / np.maximum(size - 1, 1), 0.5), np.log(size)
