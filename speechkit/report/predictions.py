"""Recordings that were scored and that no person has scored: ``predict pronunciation --save``.

The page shows files of predictions (``NAME.jsonl``) that lie in the working directory itself, as
``speechkit run`` writes them.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from speechkit.base.audio import Pipe
from speechkit.base.log import counted
from speechkit.kaldi import data
from speechkit.kaldi.data import Utterance
from speechkit.labels.miscues import SAID
from speechkit.pronunciation.result import Result
from speechkit.report.elements import Cell, Section, Table, figure, number, player
from speechkit.report.reader import undamaged
from speechkit.report.tables import SECONDS
from speechkit.task.prediction import saved
from speechkit.workdir import WorkDir

MOST = 20  # recordings in a table
_HEADLINES = ("total", "accuracy")


def sections(workdir: WorkDir) -> Iterator[Section]:
    """A section for each file of scored recordings."""
    for path in sorted(workdir.root.glob("[!.]*.jsonl")):
        if saved.task_of(path) == "pronunciation":
            yield from undamaged(str(path), partial(_section, workdir, path))


@dataclass
class _Counts:
    """What is counted of all recordings of a file.

    Args:
        skipped: recordings that could not be scored.
        unlike: whose text is probably not what is said.
        scores: the headline score of each of the others.
        statuses: of words.
        inserted: what was said between words.
        headline: name of the score, and the ends of its scale.
    """

    skipped: int = 0
    unlike: int = 0
    scores: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    inserted: int = 0
    headline: str = ""
    ends: tuple[float, float] = (0.0, 0.0)


def _section(workdir: WorkDir, path: Path) -> Section:
    counts = _Counts()
    lowest = heapq.nsmallest(MOST, _results(path, counts), key=lambda one: (one[0], one[1].file))
    shown = [result for _, result in lowest]
    section = Section(f"Scored recordings: {path.name}", text=[_about(counts)])
    section.findings = _findings(path.name, counts)
    if shown:
        section.tables.append(_table(shown, _recordings(workdir), len(counts.scores)))
    return section


def _results(path: Path, counts: _Counts) -> Iterator[tuple[float, Result]]:
    """The headline score of each recording, with all that is known of it; counts on the way."""
    for row in saved.read_saved(path):
        if saved.ERROR in row:
            counts.skipped += 1
            continue
        result = Result.from_dict(row)
        counts.unlike += not result.matches
        counts.inserted += len(result.insertions)
        counts.statuses.update(word.verdict.status for word in result.words if word.verdict)
        names = [*(name for name in _HEADLINES if name in result.utterance), *result.utterance]
        if names:
            counts.headline, counts.ends = names[0], result.scales["utterance"][names[0]]
            counts.scores.append(result.utterance[names[0]])
        yield (counts.scores[-1] if names else 0.0), result


def _about(counts: _Counts) -> str:
    said = "Scored by a model; there are no scores of people to compare with."
    if counts.skipped:
        said += f" {counted(counts.skipped, 'recording')} could not be scored."
    if counts.unlike:
        said += f" The text of {counts.unlike:,} is probably not what is said."
    return said


def _findings(name: str, counts: _Counts) -> list[str]:
    """Scores and statuses in one sentence."""
    if not counts.scores:
        return []
    many, low, high = len(counts.scores), min(counts.scores), max(counts.scores)
    said = (
        f"{name}: {counted(many, 'recording was', 'recordings were')} scored; "
        f"{counts.headline} is {number(sum(counts.scores) / many, 1)} on average, from "
        f"{number(low, 1)} to {number(high, 1)} (the scale is {counts.ends[0]:g} to "
        f"{counts.ends[1]:g})"
    )
    if words := counts.statuses.total():
        found = [
            f"{count:,} {status}" if status.startswith(SAID) else counted(count, status)
            for status, count in counts.statuses.most_common()
        ]
        said += f"; of {counted(words, 'word')}: {', '.join(found)}"
    if counts.inserted:
        said += f"; {counted(counts.inserted, 'time')} something was said between words"
    return [f"{said}."]


def _table(shown: list[Result], known: Mapping[Path, Utterance], every: int) -> Table:
    names = list(dict.fromkeys(name for one in shown for name in one.utterance))
    rows = [
        [
            Cell(one.text, under=("/".join(Path(one.file).parts[-2:]), *_remarks(one))),
            player(known.get(Path(one.file).resolve()), SECONDS),
            *(figure(one.utterance.get(name), 1) for name in names),
            Cell(_words(one)),
        ]
        for one in shown
    ]
    return Table(
        ["text", "recording", *names, "words"],
        rows,
        f"{'The lowest' if every > len(rows) else 'All, the lowest'} first: {len(rows)} of "
        f"{every:,}. A word stands with its score, and with what became of it where it was not "
        f"said as written. Recordings: the first {SECONDS:g} s, of those that are in a set.",
    )


def _remarks(one: Result) -> list[str]:
    """What is to be known before the scores are read."""
    said = [] if one.matches else ["the text is probably not what is said"]
    for each in one.insertions:
        said.append(f"inserted at {each.start:.2f} s: {' '.join(each.phones)}")
    return said


def _words(one: Result) -> str:
    """``WE 9.1, CALL 3.2 (substitution)``."""
    return ", ".join(
        word.word
        + next((f" {word.scores[name]:.1f}" for name in _HEADLINES if name in word.scores), "")
        + (f" ({word.verdict.status})" if word.verdict and word.verdict.status != SAID else "")
        for word in one.words
    )


def _recordings(workdir: WorkDir) -> dict[Path, Utterance]:
    """Recordings that sets name, by path: no other file gets into the page."""
    found: dict[Path, Utterance] = {}
    for name in workdir.sets():
        for one in data.load(workdir.data(name), workdir.root, allow_pipes=True).utterances:
            if not isinstance(one.wav, Pipe):
                found.setdefault((workdir.root / one.wav).resolve(), one)
    return found
