"""What can be wrong with a data directory: kinds, levels and remedies."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FIX = "`fix` mends it."
_BY_HAND = "Correct it by hand."

_ERRORS = {
    "missing-file": "Make the file; it is not a Kaldi data directory without it.",
    "empty-file": "Fill the file, or remove it if it is an optional one.",
    "not-utf-8": (
        "Convert it: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW (name the encoding that it truly "
        "has), and use NEW in its place."
    ),
    "utf-16": "`fix` writes it in UTF-8.",
    "bom": _FIX,
    "crlf": _FIX,
    "blank-line": _FIX,
    "no-value": f"Complete the line, or let `fix` drop it. {_BY_HAND}",
    "duplicate": _FIX,
    "conflict": "Decide which line is right and delete the other.",
    "one-name": "Rename one of the two in all tables of the set.",
    "unsorted": "`fix` sorts in byte order, as LC_ALL=C sort does.",
    "fields": _BY_HAND,
    "missing-in-file": "Add it, or let `fix` drop the utterance.",
    "unknown-key": "Correct the key, or let `fix` drop the line.",
    "unknown-recording": "Correct `segments`, or let `fix` drop the segment.",
    "segment-times": "Correct `segments`, or let `fix` drop the segment.",
    "segment-outside": "Correct `segments`, or let `fix` drop the segment.",
    "spk2utt": "`fix` makes spk2utt again from utt2spk.",
    "gender": "Write m or f (`fix` turns male and female into m and f).",
    "label-case": (
        "`fix` `label_case` lower writes all in lower case, `label_case` keep keeps them apart."
    ),
    "pipe": "Convert the audio to files, or pass `allow_pipes` if you trust the file.",
    "path": "Correct the path, or let `fix` drop the utterance.",
    "missing-audio": (
        "Correct the path (relative ones count from the working directory), or `fix` drops it."
    ),
    "empty-audio": "Copy or record it again, or let `fix` drop the utterance.",
    "cut-audio": "Copy it again, or let `fix` drop the utterance.",
    "unreadable-audio": "Convert or copy it again, or let `fix` drop the utterance.",
    "nan-audio": "Convert or record it again, or let `fix` `decode` drop it.",
    "duration": "`fix` writes the duration that the audio has.",
    "mixture": "Make the set of mixtures again with the command that made it.",
    "scores": "Correct it by hand, or make the set again with `speechkit prepare`.",
}
_WARNINGS = {
    "unscored": "Add the scores if a stage is to use them.",
    "form": "speechkit reads it as one name, Kaldi does not; `fix` writes one form.",
    "no-newline": _FIX,
    "tab": "speechkit reads it, some Kaldi scripts do not; `fix` writes spaces.",
    "spaces": _FIX,
    "empty-text": "Add the transcript if a stage is to use it.",
    "markup": "Stages that read texts refuse them: give `drop_markup` there, or take them out.",
    "invisible": "Stages read texts as they look; take the characters out if need be.",
    "no-text": "Add the transcript if a stage is to use it.",
    "no-gender": "Add it if a stage is to use gender.",
    "no-spk2utt": "`fix` makes it from utt2spk.",
    "sample-rates": "Stages resample; check that the bandwidth is comparable.",
    "opposite-phase": "Their average would be nearly silent: stages take the louder channel alone.",
    "speaker-order": (
        "Kaldi wants utterances and speakers to sort alike: begin ids with the speaker."
    ),
}
KINDS = {
    **{kind: ("error", remedy) for kind, remedy in _ERRORS.items()},
    **{kind: ("warning", remedy) for kind, remedy in _WARNINGS.items()},
}
"""Kind of a problem -> its level, and what to do about it."""


@dataclass(frozen=True)
class Problem:
    """One problem of a set.

    Args:
        kind: one of ``KINDS``.
        line: line number from 1, or None if the whole file is meant.
    """

    kind: str
    file: Path
    line: int | None
    message: str

    @property
    def level(self) -> str:
        return KINDS[self.kind][0]

    @property
    def remedy(self) -> str:
        return KINDS[self.kind][1]

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}" if self.line else str(self.file)


@dataclass
class Report:
    """What ``check`` found.

    Args:
        problems: all of them, by file and line.
        seconds: length of all audio whose header could be read (NaN if none was asked for).
        sample_rates: Hz -> number of recordings.
        bad_utterances: cannot be used (missing in a file, audio or segment broken).
        durations: seconds of every utterance that is known from the audio.
    """

    folder: Path
    problems: list[Problem] = field(default_factory=list)
    utterances: int = 0
    speakers: int = 0
    seconds: float = math.nan
    sample_rates: Counter[int] = field(default_factory=Counter)
    bad_utterances: set[str] = field(default_factory=set)
    durations: dict[str, float] = field(default_factory=dict)

    def count(self, level: str) -> int:
        return sum(problem.level == level for problem in self.problems)


def grouped(problems: Iterable[Problem], limit: int) -> list[tuple[str, str, str, str]]:
    """Rows (level, where, problem, remedy); of one kind in one file at most ``limit``, then
    "and N more" (0: no limit). The remedy stands in the first row of a kind."""
    groups: dict[tuple[str, str, Path], list[Problem]] = {}
    for problem in problems:
        groups.setdefault((problem.level, problem.kind, problem.file), []).append(problem)
    rows: list[tuple[str, str, str, str]] = []
    for (level, kind, file), group in groups.items():
        shown = group[:limit] if limit else group
        for index, problem in enumerate(shown):
            remedy = "" if index else problem.remedy
            rows.append((level, problem.where, f"{problem.message} [{kind}]", remedy))
        if len(group) > len(shown):
            more = f"and {len(group) - len(shown)} more like this [{kind}]"
            rows.append((level, str(file), more, ""))
    return rows


_SHOWN = ("level", "kind", "file", "line", "message", "remedy")
SET_COLUMNS = ("set", "utterances", "speakers", "hours", "sample rate", "errors", "warnings")


def set_row(report: Report) -> tuple[str, int, int, float, str, int, int]:
    """One row of the table of sets, as ``SET_COLUMNS``."""
    return (
        report.folder.name,
        report.utterances,
        report.speakers,
        report.seconds / 3600,
        ", ".join(f"{rate} Hz" for rate in sorted(report.sample_rates)) or "-",
        report.count("error"),
        report.count("warning"),
    )


def as_json(
    reports: Iterable[Report], actions: Mapping[str, Iterable[object]]
) -> list[dict[str, Any]]:
    """One object per set: counts, all problems, and what was mended."""
    return [
        {
            **dict(zip(("set", "utterances", "speakers", "hours"), set_row(report), strict=False)),
            "sample_rates": dict(report.sample_rates),
            "errors": report.count("error"),
            "warnings": report.count("warning"),
            "fixed": [str(action) for action in actions.get(report.folder.name, ())],
            "problems": [
                {name: getattr(one, name) for name in _SHOWN} | {"file": str(one.file)}
                for one in report.problems
            ],
        }
        for report in reports
    ]
