"""Anyone's own recordings and what is read in them: what every ``predict`` with a text shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from speechkit import audio
from speechkit.corpora.common import is_header, read_lines
from speechkit.errors import UserError, require_choice
from speechkit.log import logger
from speechkit.names import check_path, composed, on_disk

SILENT_DB = -60.0
MIN_SECONDS = 0.1
Made = TypeVar("Made")


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
            keys.setdefault(composed(key), words)
    found = []
    for file in files:
        names = (composed(name) for name in (str(file.resolve()), file.name, file.stem))
        given = [keys[name] for name in names if name in keys]
        if not given:
            raise UserError(f"{trans} has no text for {file}.", "Add a line 'path<TAB>text'.")
        found.append(Job(file, given[0]))
    return found


def read_trans(trans: Path) -> dict[Path, str]:
    """Path -> text of a table ``path<TAB>text``; a header ``path<TAB>text`` may stand on top."""
    table: dict[Path, str] = {}
    for number, line in enumerate(read_lines(trans), 1):
        name, tab, text = line.partition("\t")
        if not line.strip() or (number == 1 and is_header([name.strip()], ["path"])):
            continue
        if not tab or not name.strip() or not text.strip():
            raise UserError(
                f"{trans}:{number}: expected 'path<TAB>text', found '{line[:200]}'.",
                "Separate the path from the text by a tab.",
            )
        if problem := check_path(name):
            raise UserError(f"{trans}:{number}: the path cannot be: {problem}.")
        path = on_disk(trans.parent / Path(name.strip()).expanduser())
        if path in table:
            raise UserError(f"{trans}:{number}: {path} comes twice.")
        table[path] = text.strip()
    if not table:
        raise UserError(f"{trans} lists no recordings.", "Expected lines 'path<TAB>text'.")
    return table


def of_each(jobs: Iterable[Job], make: Callable[[Job], Made], on_error: str = "stop") -> list[Made]:
    """What is made of every recording.

    Args:
        jobs: recordings with their texts.
        make: of one; raises UserError for one that cannot be used.
        on_error: ``stop`` at the first of those, or ``skip`` it with a warning.

    Raises:
        UserError: a recording cannot be scored (``stop``), or none can.
    """
    require_choice("--on-error", on_error, ("stop", "skip"))
    done, tried = [], 0
    for job in jobs:
        tried += 1
        try:
            done.append(make(job))
        except UserError as error:
            named = str(job.file) in error.problem
            problem = error.problem if named else f"{job.file}: {error.problem}"
            if on_error == "stop":
                raise type(error)(problem, error.remedy) from error
            logger.warning(f"skipped {problem}")
    if tried and not done:
        raise UserError("No recording could be scored.", "See the reasons above.")
    return done


def require_text(text: str, trans: Path | None) -> None:
    """Raise UserError where neither a text nor a table of texts is given."""
    if not text.strip() and not trans:
        raise UserError(
            "No text is given.", 'Say what is read: --text "we call it bear", or --trans FILE.'
        )


def say_mismatch(job: Job, confidence: float) -> None:
    """Warn that the text is probably not what is said."""
    logger.warning(
        f"{job.file}: the text is probably not what is said (confidence "
        f"{confidence:.2f}); its scores mean little."
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
