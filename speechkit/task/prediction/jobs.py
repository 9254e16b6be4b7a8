"""The recordings of one ``predict``: each with its text once, there, and readable as a file."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from speechkit.base.errors import UserError, require_choice
from speechkit.base.log import logger
from speechkit.base.text import some

STDIN = Path("-")
MEND = "Mend or leave it out, or go on with the others with `on_error` skip."
_SHOWN = 10  # names in a message
_FOLDER, _FORBIDDEN = "is a folder, not an audio file.", "Permission denied."


def called(name: str | Path) -> str:
    """What messages call a recording, where results have its name, or ``-``."""
    return "standard input" if str(name) == str(STDIN) else str(name)


@dataclass(frozen=True)
class Job:
    """A recording, what is read in it, and what is written of it.

    Args:
        file: as it was given; ``-`` is standard input.
        text: what is read in it; empty for a task without texts.
        outputs: files to write, where a task writes any.
        copy: the file that standard input was copied to.
    """

    file: Path
    text: str = ""
    outputs: tuple[Path, ...] = ()
    copy: Path | None = None

    @property
    def audio(self) -> Path:
        """The file to read."""
        return self.copy or self.file

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from other jobs."""
        return str(self.file), self.text

    @property
    def stem(self) -> str:
        """How the names of its outputs begin."""
        return "stdin" if self.file == STDIN else self.file.stem


@dataclass(frozen=True)
class Inputs:
    """Recordings that were looked at.

    Args:
        jobs: in order, each once.
        missing: those of them that are not there, or may not be read -> the reason.
    """

    jobs: list[Job]
    missing: dict[Job, str]


@dataclass(frozen=True)
class RecordingResult:
    """What is known of every recording with a text.

    Args:
        file: its name.
        text: as it was given.
        seconds: its length.
        matches: False where the text is probably not what is said.
        confidence: of that, see :mod:`speechkit.acoustic.align.alignment`.
    """

    file: str
    text: str
    seconds: float
    matches: bool
    confidence: float

    def about(self) -> dict[str, Any]:
        """For JSON; what a task adds comes after it."""
        return {
            "file": self.file,
            "text": self.text,
            "seconds": round(self.seconds, 3),
            "matches": self.matches,
            "confidence": round(self.confidence, 4),
        }


def about_of(row: Mapping[str, Any]) -> tuple[str, str, float, bool, float]:
    """The first fields of a :class:`RecordingResult`, of its JSON."""
    return str(row["file"]), str(row["text"]), row["seconds"], row["matches"], row["confidence"]


@contextmanager
def open_inputs(jobs: Sequence[Job], on_error: str) -> Iterator[Inputs]:
    """Look at all recordings before a model is loaded; standard input is copied to a file.

    Args:
        jobs: recordings, with their texts where the task has texts.
        on_error: ``stop`` refuses missing ones, ``skip`` leaves them for later to name.

    Raises:
        UserError: recordings are missing (``stop``), or standard input cannot be read or is to
            be read twice.
    """
    require_choice("on_error", on_error, ("stop", "skip"))
    once = list({job.key: job for job in jobs}.values())
    if len(once) < len(jobs):
        logger.info(f"{len(jobs) - len(once)} of {len(jobs)} are given twice: each is taken once.")
    missing = {job: reason for job in once if (reason := _why_missing(job.file))}
    if missing and on_error == "stop":
        raise _missing([str(job.file) for job in missing], missing, len(once))
    if not any(job.file == STDIN for job in once):
        yield Inputs(once, missing)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = _copy_stdin(Path(folder) / "stdin.wav")
        copied = [replace(job, copy=copy) if job.file == STDIN else job for job in once]
        yield Inputs(copied, missing)


def _why_missing(file: Path) -> str:
    """Why a recording is not there, or may not be read; empty where it is."""
    if file == STDIN:
        return ""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        return f"{error.strerror}."
    except (OSError, ValueError):  # reading it will tell the reason
        return ""
    if file.is_dir():
        return _FOLDER
    return "" if os.access(file, os.R_OK) else _FORBIDDEN


def _missing(names: Sequence[str], reasons: dict[Job, str], total: int) -> UserError:
    if total == 1 or len(names) == 1:
        return UserError(f"{names[0]}: {next(iter(reasons.values()))}", MEND)
    listed = list(dict.fromkeys(names))
    there = set(reasons.values()) & {_FOLDER, _FORBIDDEN}
    what = "cannot be read" if there else "are not there"
    return UserError(
        f"{len(names)} of {total} recordings {what}: {some(listed, _SHOWN)}.",
        "Correct the names, or go on with the others with `on_error` skip.",
    )


def _copy_stdin(target: Path) -> Path:
    if sys.stdin is None or sys.stdin.isatty():
        raise UserError(
            "'-' reads a recording from standard input, but nothing is sent to it.",
            "Send a WAV file, as in: sox in.mp3 -t wav - | speechkit predict ... -",
        )
    with target.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return target
