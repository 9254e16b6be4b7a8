"""Median pitch, voiced fraction and energy of utterances (paper, section 2.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base import answers, audio
from speechkit.base.answers import Answer
from speechkit.base.audio import power
from speechkit.base.distribution import PIP_INSTALL
from speechkit.base.errors import ConfigError, SharedError, UserError
from speechkit.base.log import counted, logger
from speechkit.base.tables import typed_rows, write_skipped, write_tsv
from speechkit.base.text import composed, some
from speechkit.kaldi import data
from speechkit.speaker.config import ProsodyConfig
from speechkit.workdir import Output, WorkDir
from speechkit.workdir.unfinished import map_kept

COLUMNS = ("utt", "f0_median_hz", "voiced_fraction", "energy")
PART = 2000  # utterances per part that a resumed run keeps


@dataclass(frozen=True)
class Prosody:
    """Prosody of one utterance.

    Args:
        f0_median_hz: median of f0 over voiced frames; NaN where no frame is voiced.
        voiced_fraction: voiced frames over all frames, 0..1.
        energy: mean of the squared samples about their mean (full scale is 1).
    """

    f0_median_hz: float
    voiced_fraction: float
    energy: float


def praat() -> Any:
    """The package ``parselmouth``.

    Raises:
        SharedError: it is not installed, as where no GPL code may be used.
    """
    try:
        import parselmouth
    except ImportError as error:
        raise SharedError(
            "Pitch is measured by the package 'praat-parselmouth', which is not installed.",
            f"Install it with: {PIP_INSTALL} praat-parselmouth . To do without code under the GPL, "
            "take a model that learned without `prosody`.",
        ) from error
    return parselmouth


def measure(samples: np.ndarray, rate: int, f0_min: float = 75, f0_max: float = 600) -> Prosody:
    """Prosody of samples ``[T]`` at ``rate`` Hz.

    f0 is Praat's autocorrelation method with its standard settings, one value every
    0.75 / f0_min seconds. Audio shorter than Praat's window of 3 / f0_min seconds has no
    voiced frame by definition.
    """
    parselmouth = praat()
    wide = samples.astype(np.float64)
    energy = power(samples)
    if len(wide) / rate <= 3 / f0_min + 1e-3:
        return Prosody(math.nan, 0.0, energy)
    pitch = parselmouth.Sound(wide, rate).to_pitch_ac(pitch_floor=f0_min, pitch_ceiling=f0_max)
    f0 = pitch.selected_array["frequency"]
    voiced = f0[f0 > 0]
    median = float(np.median(voiced)) if len(voiced) else math.nan
    return Prosody(median, len(voiced) / max(len(f0), 1), energy)


def _measure_utterance(utterance: data.Utterance, f0_min: float, f0_max: float) -> list[str]:
    samples, rate = audio.read(utterance.wav, start=utterance.start, end=utterance.end)
    if f0_max >= rate / 2:
        raise ConfigError(
            "f0_max",
            f"{f0_max:g} Hz is not below half the sample rate ({rate} Hz).",
            "Give a lower `f0_max`.",
        )
    return [utterance.id, *_cells(measure(samples, rate, f0_min, f0_max))]


def extract(
    workdir: WorkDir,
    set_name: str,
    config: ProsodyConfig | None = None,
    *,
    name: str = "",
    jobs: int = 1,
    executor: str = "local",
    on_error: str = "stop",
    allow_pipes: bool = False,
    force: bool = False,
) -> Path:
    """Write ``exp/prosody/<set>/prosody.tsv`` and return its folder.

    Raises:
        UserError: bad flags, a bad set, or a broken utterance (with ``on_error="stop"``).
    """
    config = config or ProsodyConfig()
    f0_min, f0_max = config.f0_min, config.f0_max
    dataset = data.load(workdir.data(set_name), workdir.root, allow_pipes)
    final = workdir.exp("prosody", set_name, name=name)
    params = {"set": set_name, "f0_min": f0_min, "f0_max": f0_max}
    with Output(
        final,
        "extract-prosody",
        params,
        dataset.files(),
        force=force,
        audio=dataset.audio_files(),
        resume=True,
    ) as out:
        if out.up_to_date:
            return final
        run = partial(_measure_utterance, f0_min=f0_min, f0_max=f0_max)
        how: dict[str, Any] = {"jobs": jobs, "executor": executor, "on_error": on_error}
        how |= {"chunk": 8, "name": lambda u: u.id, "label": "prosody"}
        rows, skipped = map_kept(run, dataset.utterances, PART, out.part, ".rows.json", **how)
        _write(out, rows, skipped)
    return final


def _cells(found: Prosody) -> list[str]:
    f0 = "nan" if math.isnan(found.f0_median_hz) else f"{found.f0_median_hz:.6f}"
    return [f0, f"{found.voiced_fraction:.6f}", f"{found.energy:.9e}"]


def _write(out: Output, rows: list[list[str]], skipped: list[list[str]]) -> None:
    if not rows:
        raise UserError("No utterance could be read.", "See the reasons above.")
    write_tsv(out.path / "prosody.tsv", COLUMNS, rows)
    write_skipped(out.path, skipped)
    unvoiced = [row[0] for row in rows if row[1] == "nan"]
    if unvoiced:
        logger.warning(
            f"{counted(len(unvoiced), 'utterance has', 'utterances have')} no voiced frame, so no "
            f"pitch (nan): {some(unvoiced, 5)}"
        )
    out.counts.update(utterances=len(rows), skipped=len(skipped), unvoiced=len(unvoiced))


def read(path: Path) -> dict[str, Prosody]:
    """Utterance -> prosody of a ``prosody.tsv``.

    Raises:
        UserError: the file is not such a table.
    """
    rows = typed_rows(path, COLUMNS, (composed, float, float, float))
    return {utterance: Prosody(*values) for _, (utterance, *values) in rows}


def answer(folder: Path) -> Answer:
    """Counts and percentiles of a ``prosody.tsv``."""
    path = folder / "prosody.tsv"
    table = list(read(path).values())
    f0 = np.array([p.f0_median_hz for p in table if not math.isnan(p.f0_median_hz)])
    low, middle, high = np.percentile(f0, (5, 50, 95)) if len(f0) else (math.nan,) * 3
    rows = [
        ("utterances", len(table)),
        ("without pitch", len(table) - len(f0)),
        ("f0 median, 5th percentile (Hz)", float(low)),
        ("f0 median, median (Hz)", float(middle)),
        ("f0 median, 95th percentile (Hz)", float(high)),
        ("voiced fraction, mean", float(np.mean([p.voiced_fraction for p in table]))),
    ]
    return answers.rows(str(path), ("measure", "value"), rows)
