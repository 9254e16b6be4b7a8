"""A recording of any length as windows that are read once, and what is predicted for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base.audio import level_db
from speechkit.task.prediction.stream import Head

_SILENT = "(silent)"  # in place of a label
SILENT_DB = -80.0  # level below which a window says nothing


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


@dataclass(frozen=True)
class Window:
    """A part of a recording.

    Args:
        start: first second.
        end: last second.
        probabilities: of the classes; None where it is silent.
    """

    start: float
    end: float
    probabilities: np.ndarray | None


@dataclass(frozen=True)
class Prediction:
    """What was heard in a recording.

    Args:
        input: the recording.
        seconds: its length.
        classes: in the order of the probabilities.
        windows: one for a short recording.
        files: figure and table of the timeline, where asked for.
        calibrated: whether the probabilities are those of a model with a temperature.
    """

    input: Path
    seconds: float
    classes: tuple[str, ...]
    windows: tuple[Window, ...]
    files: tuple[Path, ...] = ()
    calibrated: bool = False

    @property
    def probabilities(self) -> np.ndarray | None:
        """Mean over the windows that are not silent, ``[C]``; None if all are."""
        heard = [w.probabilities for w in self.windows if w.probabilities is not None]
        return np.mean(heard, axis=0) if heard else None

    @property
    def label(self) -> str | None:
        """The most probable class; None for a silent recording."""
        return self._label(self.probabilities)

    def _label(self, probabilities: np.ndarray | None) -> str | None:
        return None if probabilities is None else self.classes[int(np.argmax(probabilities))]

    def _named(self, probabilities: np.ndarray | None) -> dict[str, float] | None:
        if probabilities is None:
            return None
        return {c: round(float(p), 6) for c, p in zip(self.classes, probabilities, strict=True)}

    def head(self) -> Head:
        """Of the table that :meth:`rows` are of."""
        columns = ("file", "seconds", "windows", "label", *self.classes)
        label = max((_SILENT, *self.classes), key=len)
        return Head(
            "Emotion (calibrated)" if self.calibrated else "Emotion",
            columns,
            ("", "0000.0", "0000", label, *["0.00000"] * len(self.classes)),
        )

    def rows(self) -> list[tuple[Any, ...]]:
        """For a terminal."""
        found = self.probabilities
        cells = [None] * len(self.classes) if found is None else found.tolist()
        label = self.label or _SILENT
        return [(str(self.input), round(self.seconds, 1), len(self.windows), label, *cells)]

    def row(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "input": str(self.input),
            "seconds": round(self.seconds, 3),
            "label": self.label,
            "silent": self.label is None,
            "probabilities": self._named(self.probabilities),
            "calibrated": self.calibrated,
            "windows": [
                {
                    "start": round(w.start, 3),
                    "end": round(w.end, 3),
                    "label": self._label(w.probabilities),
                    "probabilities": self._named(w.probabilities),
                }
                for w in self.windows
            ],
            "files": [str(path) for path in self.files],
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any], classes: tuple[str, ...]) -> Prediction:
        """The reverse of :meth:`row`, of numbers as they are rounded there."""

        def array(named: Mapping[str, float] | None) -> np.ndarray | None:
            return None if named is None else np.array([named[name] for name in classes])

        windows = tuple(
            Window(part["start"], part["end"], array(part["probabilities"]))
            for part in row["windows"]
        )
        files = tuple(map(Path, row["files"]))
        calibrated = bool(row.get("calibrated"))  # rows that were saved earlier lack it
        return cls(Path(row["input"]), row["seconds"], classes, windows, files, calibrated)
