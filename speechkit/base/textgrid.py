"""TextGrids of Praat: tiers of labelled intervals, as text that Praat, ELAN and others open.

Intervals of a tier follow each other without a gap, from 0 to the end of the recording. So of
the words 0.1-0.5 and 0.7-0.9 of one second there become five intervals: an empty one to 0.1, the
first word, an empty one to 0.7, the second word, and an empty one to 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Interval(NamedTuple):
    """A part of a recording in seconds, and what is said of it.

    Args:
        share: of the highest score, 0 to 1, where it has a score; a CTM's confidence.
    """

    start: float
    end: float
    label: str
    share: float | None = None


class Tier(NamedTuple):
    """Intervals of one kind, in order of time; none overlaps another."""

    name: str
    intervals: Sequence[Interval]


def textgrid(tiers: Sequence[Tier], seconds: float) -> str:
    """The content of a ``.TextGrid`` file.

    Args:
        tiers: what lies beyond the end of the recording, or within the interval before, is cut.
        seconds: length of the recording.
    """
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {_number(seconds)}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, tier in enumerate(tiers, 1):
        whole = list(_without_gaps(tier.intervals, seconds))
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f"        name = {_quoted(tier.name)}",
            "        xmin = 0",
            f"        xmax = {_number(seconds)}",
            f"        intervals: size = {len(whole)}",
        ]
        for place, (start, end, label, _) in enumerate(whole, 1):
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {_number(start)}",
                f"            xmax = {_number(end)}",
                f"            text = {_quoted(label)}",
            ]
    return "\n".join(lines) + "\n"


def _without_gaps(intervals: Sequence[Interval], seconds: float) -> Iterator[Interval]:
    done = 0.0
    for interval in intervals:
        start, end = max(done, interval.start), min(interval.end, seconds)
        if _number(start) == _number(end) or start > end:
            continue
        if _number(start) != _number(done):
            yield Interval(done, start, "")
        yield Interval(start if _number(start) != _number(done) else done, end, interval.label)
        done = end
    if _number(done) != _number(seconds):
        yield Interval(done, seconds, "")


def _number(seconds: float) -> str:
    """Seconds with at most six decimals."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    return '"' + " ".join(text.split()).replace('"', '""') + '"'
