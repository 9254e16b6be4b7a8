"""One mixture: the gains of its sources, and its audio where that is stored."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from speechkit.base import audio
from speechkit.base.audio import level_db
from speechkit.base.errors import AudioError
from speechkit.labels.mixtures import place, read_source
from speechkit.separation.mixture_draws import Plan

LEVEL_DB = -25.0  # mean RMS level of the sources of a mixture
SILENT_DB = -90.3  # RMS below one step of 16-bit audio
PEAK = 0.99  # of the mixture and its sources


@dataclass(frozen=True)
class Made:
    """What came of a plan.

    Args:
        gains_db: gain of each source; empty if a source was bad.
        levels_db: RMS level of each source in the mixture, dB below full scale.
        peak: largest sample of the mixture.
        turned_down_db: by how much everything was turned down to stay below full scale.
        bad: position of a source -> why it cannot be used.
    """

    gains_db: tuple[float, ...] = ()
    levels_db: tuple[float, ...] = ()
    peak: float = 0.0
    turned_down_db: float = 0.0
    bad: Mapping[int, str] = field(default_factory=dict)


def make_one(plan: Plan, rate: int, on_error: str = "stop", folder: Path | None = None) -> Made:
    """Measure the sources of a mixture as they stand in it, and find their gains.

    Args:
        plan: the mixture.
        rate: in Hz.
        on_error: ``stop`` raises at broken audio, ``skip`` reports it.
        folder: where the mixture and its sources are stored; None stores nothing.
    """
    sources = np.zeros((len(plan.sources), plan.samples), np.float32)
    bad: dict[int, str] = {}
    for k, (row, source, offset) in enumerate(
        zip(sources, plan.sources, plan.offsets, strict=True)
    ):
        try:
            raw, own_rate = read_source(source.utterance)
            samples = audio.resample(raw, own_rate, rate)
            if len(samples) != source.samples:
                raise AudioError(
                    f"{source.utterance.wav}: has {len(samples)} samples at {rate} Hz, its header "
                    f"says {source.samples}.",
                    "Convert it to WAV or FLAC, or leave it out with --on-error skip.",
                    "cut",
                )
        except AudioError as error:
            if on_error == "stop":
                raise
            bad[k] = error.problem
            continue
        place(row, samples, offset)
        first, last = max(-offset, 0), min(len(samples), plan.samples - offset)
        heard = raw[first * own_rate // rate : -(-last * own_rate // rate)]
        if min(level_db(heard), level_db(row)) < SILENT_DB:
            bad[k] = "silent in the part that is mixed"
    if bad:
        return Made(bad=bad)
    levels = np.array([level_db(row) for row in sources])
    gains = LEVEL_DB + np.mean(plan.snr_db) - np.array(plan.snr_db) - levels
    return _scale(plan, sources, levels, gains, rate, folder)


def _scale(
    plan: Plan,
    sources: np.ndarray,
    levels: np.ndarray,
    gains: np.ndarray,
    rate: int,
    folder: Path | None,
) -> Made:
    """Apply the gains, turned down together where a sample would exceed ``PEAK``."""
    scaled = _amplify(sources, gains)
    peak = max(float(np.abs(scaled.sum(axis=0)).max()), float(np.abs(scaled).max()))
    down = max(0.0, 20 * math.log10(peak / PEAK))
    gains = np.round(gains - down, 4)  # as the list holds them
    scaled = _amplify(sources, gains)
    mixture = scaled.sum(axis=0)
    if folder is not None:
        store(folder / "mix" / f"{plan.id}.wav", mixture, rate)
        for k, row in enumerate(scaled, 1):
            store(folder / f"s{k}" / f"{plan.id}.wav", row, rate)
    return Made(
        tuple(map(float, gains)),
        tuple(map(float, levels + gains)),
        float(np.abs(mixture).max()),
        down,
    )


def _amplify(sources: np.ndarray, gains_db: np.ndarray) -> np.ndarray:
    """``[S, T]`` with the gains ``[S]``, as :meth:`MixtureSet.read` applies them."""
    return sources * (10 ** (gains_db / 20)).astype(np.float32)[:, None]


def store(path: Path, samples: np.ndarray, rate: int, subtype: str = "FLOAT") -> None:
    """Write float32 samples ``[T]`` as WAV, 32-bit float or ``PCM_16``, the same bytes each time.

    (libsndfile would put the time into a file of floats.)

    Raises:
        OSError: with its number, as of a full disk.
    """
    import soundfile
    from scipy.io import wavfile

    buffer = io.BytesIO()
    if subtype == "FLOAT":
        wavfile.write(buffer, rate, samples.astype(np.float32, copy=False))
    else:
        soundfile.write(buffer, samples, rate, subtype=subtype, format="WAV")
    path.write_bytes(buffer.getvalue())
