"""Logging to stderr, and notes that are said once however many utterances they concern."""

from __future__ import annotations

import logging
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

logger = logging.getLogger("speechkit")

_said: set[str] = set()
_collected: list[tuple[str, str]] | None = None


@lru_cache(maxsize=1)
def stderr_console() -> Console:
    from rich.console import Console

    return Console(stderr=True)


class _StderrHandler(logging.Handler):
    """Writes to the current sys.stderr, through Rich when it is a terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
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


def take_notes() -> list[tuple[str, str]]:
    """Notes kept since the last call."""
    global _collected
    if not _collected:
        return []
    notes, _collected = _collected, []
    return notes


def forget_notes() -> None:
    """Forget what has been said (a new command in the same process says it again)."""
    _said.clear()
