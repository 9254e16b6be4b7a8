"""Logging, notes that are printed once, and progress: all on stderr."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

logger = logging.getLogger("speechkit")

_said: set[str] = set()
_collected: list[tuple[str, str]] | None = None
_wording: Callable[[str], str] = str
LOG_EVERY_S = 10.0


@lru_cache(maxsize=1)
def stderr_console() -> Console:
    from rich.console import Console

    return Console(stderr=True)


class _StderrHandler(logging.Handler):
    """Writes to the current sys.stderr, through Rich when it is a terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        text = worded(self.format(record))
        if sys.stderr.isatty():
            styles = {logging.WARNING: "yellow", logging.ERROR: "bold red"}
            stderr_console().print(
                text, style=styles.get(record.levelno), markup=False, highlight=False
            )
        else:
            print(text, file=sys.stderr, flush=True)


def setup(level: int = logging.INFO) -> None:
    """Send the ``speechkit`` logger to stderr; calling it twice changes nothing."""
    if not any(isinstance(h, _StderrHandler) for h in logger.handlers):
        handler = _StderrHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
        logger.propagate = False
    logger.setLevel(level)


def word_with(wording: Callable[[str], str]) -> None:
    """Print messages as ``wording`` turns them (the command line puts flags into them)."""
    global _wording
    _wording = wording


def worded(text: str) -> str:
    """A message as it is printed."""
    return _wording(text)


def note_once(key: str, message: str) -> None:
    """Warn about ``key`` the first time only; in a worker, leave it to the parent process."""
    if _collected is not None:
        _collected.append((key, message))
    elif key not in _said:
        _said.add(key)
        logger.warning(message)


def collect_notes() -> None:
    """Keep notes instead of printing them (called in worker processes)."""
    global _collected
    _collected = []


def pop_notes() -> list[tuple[str, str]]:
    """Notes kept since the last call."""
    global _collected
    if not _collected:
        return []
    notes, _collected = _collected, []
    return notes


def forget_notes() -> None:
    """Forget what has been said (a new command in the same process says it again)."""
    _said.clear()


def counted(number: int, noun: str, plural: str = "") -> str:
    """'1 recording', '3 batches', '4 utt', '5 s'; ``plural``: 'clips are', where a verb follows."""
    return f"{number:,} {plural if plural and number != 1 else _named(number, noun)}"


def _named(number: float, noun: str) -> str:
    if number == 1 or noun in ("utt", "s"):
        return noun
    return noun + ("es" if noun.endswith("tch") else "s")


def _per_second(done: int, seconds: float, noun: str) -> str:
    """'1,200.0 steps/s', '0.062 steps/s'."""
    rate = done / max(seconds, 1e-9)
    shown = f"{rate:,.1f}" if rate >= 0.1 else f"{rate:.2g}"
    return f"{shown} {_named(0, noun)}/s"


def format_seconds(seconds: float) -> str:
    """'7 s', '3:05 min' or '1:02:03 h'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d} h"


@contextmanager
def progress(
    label: str, total: int, unit: str = "utt", before: int = 0
) -> Iterator[Callable[[int], None]]:
    """Yield ``advance(n)``; shows count, rate and time left.

    Args:
        before: units that an earlier run did; they do not count in the rate.
    """
    if not label:
        yield lambda n: None
        return
    started, done = time.monotonic(), 0
    with (_bar if sys.stderr.isatty() else _lines)(label, total, unit, before) as show:

        def advance(n: int) -> None:
            nonlocal done
            done += n
            show(done, time.monotonic() - started)

        yield advance
    seconds = time.monotonic() - started
    if done:
        took, speed = format_seconds(seconds), _per_second(done, seconds, unit)
        logger.info(f"{label}: {counted(done, unit)} in {took} ({speed})")


Show = Callable[[int, float], None]
"""Shows how many units were done in how many seconds."""


@contextmanager
def _bar(label: str, total: int, unit: str, before: int) -> Iterator[Show]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeLeft(),
    )
    with Progress(*columns, console=stderr_console(), transient=True) as bar:
        task = bar.add_task(label, total=total, completed=before, rate="")
        yield lambda done, seconds: bar.update(
            task, completed=before + done, rate=_per_second(done, seconds, unit)
        )


@contextmanager
def _lines(label: str, total: int, unit: str, before: int) -> Iterator[Show]:
    last = 0.0

    def show(done: int, seconds: float) -> None:
        nonlocal last
        reached = before + done
        if seconds - last >= LOG_EVERY_S and done and reached < total:
            last = seconds
            left = format_seconds((total - reached) * seconds / done)
            units, speed = _named(total, unit), _per_second(done, seconds, unit)
            logger.info(f"{label}: {reached}/{total} {units}, {speed}, {left} left")

    yield show
