"""Lines of ``segments``: which part of which recording an utterance is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speechkit.base import audio

END_TOLERANCE_S = 0.01  # the same as reading audio allows


class SegmentError(ValueError):
    """A line that names no part of a recording.

    Args:
        kind: of the problem, as ``speechkit.corpora.check.problems`` has it.
        problem: what is wrong, to follow the utterance's name.
    """

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(problem)
        self.kind = kind


@dataclass(frozen=True)
class Segment:
    """A part of a recording.

    Args:
        recording: its key in ``wav.scp``.
        end: last second; None for the recording's end, which Kaldi writes as -1.
    """

    recording: str
    start: float = 0.0
    end: float | None = None

    @classmethod
    def parse(cls, value: str) -> Segment:
        """Read ``recording start end``; raises SegmentError."""
        fields = value.split()
        try:
            recording, start, end = fields[0], float(fields[1]), float(fields[2])
        except (IndexError, ValueError):
            raise SegmentError("fields", "expected 'utterance recording start end'") from None
        whole = end == -1
        if not 0 <= start < math.inf:
            raise SegmentError("segment-times", f"it starts at {start} s")
        if not (whole or end < math.inf):
            raise SegmentError("segment-times", f"it ends at {end} s (-1 is the recording's end)")
        if not (whole or start < end):
            raise SegmentError("segment-times", f"it ends ({end}) before it starts")
        return cls(recording, start, None if whole else end)

    def check(self, found: audio.Info) -> float:
        """Seconds of the part that the recording has of it; raises SegmentError."""
        last = found.seconds if self.end is None else self.end
        if self.start >= found.seconds or last > found.seconds + END_TOLERANCE_S:
            ends = f"it ends at {last if self.end else self.start} s"
            raise SegmentError("segment-outside", f"{ends}, the recording at {found.seconds:.3f} s")
        rate = found.sample_rate
        if not round(self.start * rate) < min(round(last * rate), found.frames):
            raise SegmentError(
                "segment-times", f"it goes from {self.start} s to {last} s, which holds no sample"
            )
        return min(last, found.seconds) - self.start
