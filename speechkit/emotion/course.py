"""What was heard in a recording: a label, probabilities, and their course over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


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
    """

    input: Path
    seconds: float
    classes: tuple[str, ...]
    windows: tuple[Window, ...]
    files: tuple[Path, ...] = ()

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

    def row(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "input": str(self.input),
            "seconds": round(self.seconds, 3),
            "label": self.label,
            "silent": self.label is None,
            "probabilities": self._named(self.probabilities),
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
        return cls(Path(row["input"]), row["seconds"], classes, windows, files)
