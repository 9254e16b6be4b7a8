"""A recording of any length as windows, read once and never held whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from speechkit.base.errors import UserError
from speechkit.base.level import level_db

SILENT_DB = -80.0  # level below which a window says nothing


@dataclass(frozen=True)
class Cut:
    """How recordings are cut.

    Args:
        window: seconds of a window.
        hop: seconds from one window to the next.
        whole: recordings up to so many seconds are one window.
    """

    window: float = 4.0
    hop: float = 2.0
    whole: float = 10.0

    def check(self, most: float) -> None:
        """Raises UserError for impossible values; ``most`` is the model's longest clip."""
        if not 0.1 <= self.window <= most:
            raise UserError(
                f"--window {self.window:g} is out of range.", f"Accepted: 0.1 to {most:g} s."
            )
        if not 0 < self.hop <= self.window:
            raise UserError(
                f"--hop {self.hop:g} is out of range.",
                f"Accepted: above 0, and at most the window ({self.window:g} s).",
            )
        if not 0 <= self.whole <= most:
            raise UserError(
                f"--whole {self.whole:g} is out of range.", f"Accepted: 0 to {most:g} s."
            )

    def starts(self, samples: int, rate: int) -> tuple[list[int], int]:
        """First samples of the windows, and their length; the last window ends at the end."""
        size, hop = max(1, round(self.window * rate)), max(1, round(self.hop * rate))
        if samples <= max(size, round(self.whole * rate)):
            return [0], samples
        starts = list(range(0, samples - size, hop))
        return [*starts, samples - size], size


def windows(
    blocks: Iterable[np.ndarray], starts: list[int], size: int
) -> Iterator[tuple[int, np.ndarray]]:
    """(first sample, samples ``[size]``) of each window of a signal that comes in blocks."""
    kept, offset = np.zeros(0, np.float32), 0
    waiting = iter(starts)
    start = next(waiting, None)
    for block in blocks:
        kept = np.concatenate([kept, block])
        while start is not None and start + size <= offset + len(kept):
            yield start, kept[start - offset : start - offset + size].copy()
            start = next(waiting, None)
        if start is None:
            return
        drop = min(max(0, start - offset), len(kept))
        kept, offset = kept[drop:], offset + drop
    if start is not None and len(kept) > start - offset:  # resampling may be a sample short
        yield start, kept[start - offset :].copy()


def is_silent(wave: np.ndarray) -> bool:
    """Whether a window holds nothing to judge."""
    return level_db(wave) < SILENT_DB
