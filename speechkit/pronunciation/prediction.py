"""Scores of anyone's own recordings: audio and text in, phones, words and the whole out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechkit import audio
from speechkit.acoustic.lexicon import Lexicon, normalise_text
from speechkit.corpora.common import read_lines
from speechkit.errors import UserError, require_choice
from speechkit.log import logger
from speechkit.pronunciation import ctc_gop
from speechkit.pronunciation.assessment import (
    MISSING,
    Alternative,
    Result,
    describe,
    known_scales,
    suspect_limit,
)
from speechkit.pronunciation.bundle import Ready
from speechkit.pronunciation.feature_settings import Extracted, Request

SILENT_DB = -60.0
MIN_SECONDS = 0.1
_SQUEEZED = 3  # frames: one for each state of an HMM
_CLEAR_NATS = 1.0


@dataclass(frozen=True)
class Job:
    """A recording and what is read in it."""

    file: Path
    text: str


def jobs_of(files: Sequence[Path], text: str, trans: Path | None) -> list[Job]:
    """What is to be scored.

    Args:
        files: recordings.
        text: what is read in each of them; empty with ``trans``.
        trans: a table ``path<TAB>text`` (paths relative to it), of all recordings or, with
            ``files``, of those (by path, name or stem).

    Raises:
        UserError: no text for a recording, two sources of text, or a broken table.
    """
    if text and trans:
        raise UserError("--text and --trans are both given.", "Give one of them.")
    if not trans:
        if not files:
            raise UserError("No recording is given.", "Name a file, or a table with --trans.")
        return [Job(file, text) for file in files]
    table = read_trans(trans)
    if not files:
        return [Job(path, words) for path, words in table.items()]
    keys: dict[str, str] = {}
    for path, words in table.items():
        for key in (str(path.resolve()), path.name, path.stem):
            keys.setdefault(key, words)
    found = []
    for file in files:
        given = [keys[k] for k in (str(file.resolve()), file.name, file.stem) if k in keys]
        if not given:
            raise UserError(f"{trans} has no text for {file}.", "Add a line 'path<TAB>text'.")
        found.append(Job(file, given[0]))
    return found


def read_trans(trans: Path) -> dict[Path, str]:
    """Path -> text of a table ``path<TAB>text``; a header ``path<TAB>text`` may stand on top."""
    table: dict[Path, str] = {}
    for number, line in enumerate(read_lines(trans), 1):
        name, tab, text = line.partition("\t")
        if not line.strip() or (number == 1 and name.strip() == "path"):
            continue
        if not tab or not name.strip() or not text.strip():
            raise UserError(
                f"{trans}:{number}: expected 'path<TAB>text', found '{line[:200]}'.",
                "Separate the path from the text by a tab.",
            )
        path = trans.parent / Path(name.strip()).expanduser()
        if path in table:
            raise UserError(f"{trans}:{number}: {path} comes twice.")
        table[path] = text.strip()
    if not table:
        raise UserError(f"{trans} lists no recordings.", "Expected lines 'path<TAB>text'.")
    return table


def predict(
    ready: Ready, jobs: Iterable[Job], lexicon: Lexicon, on_error: str = "stop"
) -> list[Result]:
    """Score recordings.

    Args:
        ready: the model.
        jobs: recordings with their texts.
        lexicon: of the pronunciations.
        on_error: ``stop`` at the first that cannot be scored, or ``skip`` it with a warning.

    Raises:
        UserError: a recording cannot be scored (``stop``), or none can.
    """
    require_choice("--on-error", on_error, ("stop", "skip"))
    done, tried = [], 0
    for job in jobs:
        tried += 1
        try:
            done.append(predict_one(ready, job, lexicon))
        except UserError as error:
            named = str(job.file) in error.problem
            problem = error.problem if named else f"{job.file}: {error.problem}"
            if on_error == "stop":
                raise type(error)(problem, error.remedy) from error
            logger.warning(f"skipped {problem}")
    if tried and not done:
        raise UserError("No recording could be scored.", "See the reasons above.")
    lexicon.report()
    return done


def predict_one(ready: Ready, job: Job, lexicon: Lexicon) -> Result:
    """Score one recording.

    Raises:
        UserError: the audio cannot be read, is silent, or too short for the text; the text is
            empty or has words that cannot be pronounced.
    """
    samples, seconds = load(job.file, ready.pipeline.sample_rate)
    texts = normalise_text(job.text)
    words = lexicon.words(texts)
    request = Request(samples, words, texts=texts, keep_evidence=True)
    extracted = ready.pipeline.extract_many([request])[0]
    if isinstance(extracted, UserError):
        raise extracted
    if not extracted.alignment.matches:
        logger.warning(
            f"{job.file}: the text is probably not what is said (confidence "
            f"{extracted.alignment.confidence:.2f}); its scores mean little."
        )
    rows, assessor = extracted.rows, ready.assessor
    assessed = assessor.assess(
        extracted.features, [row.phone for row in rows], [row.word_index for row in rows]
    )
    scales = known_scales(assessor.card, assessor.config.aspects)
    return describe(
        assessed,
        extracted,
        scales,
        likeliest(ready, extracted),
        lexicon.guessed,
        suspect_limit(assessor.cards, scales),
        file=str(job.file),
        text=job.text,
        seconds=seconds,
    )


def load(file: Path, rate: int) -> tuple[np.ndarray, float]:
    """Samples at the model's rate, and the length in seconds.

    Raises:
        UserError: it cannot be read, is shorter than 0.1 s, or is silent.
    """
    header = audio.info(file)
    if header.seconds < MIN_SECONDS:
        raise UserError(
            f"{file} is {header.seconds:.3f} s long, which is too short to hold speech.",
            f"Give a recording of at least {MIN_SECONDS} s.",
        )
    if header.sample_rate < rate:
        logger.warning(
            f"{file} has {header.sample_rate} Hz, less than the model's {rate} Hz: what lies "
            f"above {header.sample_rate // 2} Hz is missing (S, F, TH ...), so scores are lower."
        )
    samples, _ = audio.read(file, rate)
    level = 10 * np.log10(float(np.mean(samples.astype(np.float64) ** 2)) + 1e-20)
    if level < SILENT_DB:
        raise UserError(
            f"{file} is silent ({level:.0f} dB below full scale at most).",
            "Check the microphone, or record it louder.",
        )
    return samples, header.seconds


def likeliest(ready: Ready, extracted: Extracted) -> list[Alternative]:
    """For every canonical phone, what fits best in its place: another phone, or nothing.

    Without fixed boundaries, see :mod:`speechkit.pronunciation.ctc_gop`; by the model that
    aligned. A phone that was given no more than the fewest frames, and in whose place no
    other is clearly heard, is left out: its frames are borrowed from its neighbours.
    """
    model = ready.pipeline.aligner
    assert extracted.evidence is not None
    blank = model.blank if model.topology == "ctc" else None
    segments = extracted.alignment.segments
    phones = [row.phone for row in extracted.rows]
    names, advantage = ctc_gop.rivals(
        extracted.evidence.log_posteriors, phones, model.labels, blank, MISSING
    )
    best = advantage.argmax(axis=1)
    found = []
    for p, (k, segment) in enumerate(zip(best, segments, strict=True)):
        value = float(advantage[p, k])
        squeezed = blank is None and segment.frames <= _SQUEEZED and value < _CLEAR_NATS
        found.append(
            Alternative(MISSING if squeezed else names[k], max(value, 0.0) if squeezed else value)
        )
    return found
