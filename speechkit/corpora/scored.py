"""Scores of a corpus against its utterances: every problem at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from speechkit.base.errors import DataError
from speechkit.base.text import visible, without_marks
from speechkit.labels.phones import ARPABET, pure
from speechkit.labels.score_files import find_rater_faults
from speechkit.labels.score_tables import examine, table_name
from speechkit.labels.scores import LEVELS, Scores

_INVENTORY = frozenset(ARPABET)
_WORDS, _PHONES = "words that disagree with the text", "phones outside ARPAbet"
SHOWN = 20  # of each kind of problem
_NOT_IN_WORDS = re.compile(r"[^\w']+")


class Problems:
    """What is wrong with some scores, by kind."""

    def __init__(self) -> None:
        self._groups: dict[str, list[str]] = {}

    def add(self, kind: str, message: str) -> None:
        """Note a problem of a kind."""
        self._groups.setdefault(kind, []).append(message)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """(kind, message) of every problem."""
        return ((kind, message) for kind, group in self._groups.items() for message in group)

    def raise_if_any(self, path: Path, remedy: str) -> None:
        """Raise DataError that lists them: of each kind how many, and the first twenty."""
        total = sum(len(group) for group in self._groups.values())
        if not total:
            return
        lines = [f"{path} cannot be used: {total} problem{'s' * (total > 1)}."]
        for kind, group in self._groups.items():
            lines.append(f"  {kind} ({len(group)}):")
            lines += [f"    {message}" for message in group[:SHOWN]]
            if len(group) > SHOWN:
                lines.append(f"    and {len(group) - SHOWN} more")
        raise DataError("\n".join(lines), remedy)


def check_scores(
    scores: Scores, texts: Mapping[str, str], wanted: Collection[str], problems: Problems
) -> None:
    """Compare scores with the utterances that they are for.

    Args:
        scores: of the corpus.
        texts: utterance -> transcript, or empty where there is none; case and punctuation
            do not count.
        wanted: utterances that must have scores.
        problems: takes what is found.
    """
    for name in sorted(set(wanted) - scores.names()):
        problems.add("utterances without scores", name)
    for name, words in scores.words.items():
        text = texts.get(name, "")
        said = _words(text)
        scored = [word for item in words for word in _words(item.word)]
        if said and scored not in (said, _words(without_marks(text))):
            message = f"{name}: '{' '.join(scored)}' was scored, the text is '{' '.join(said)}'"
            problems.add(_WORDS, message)
    for name, phones in scores.phones.items():
        odd = [p.phone for p in phones if pure(p.phone) not in _INVENTORY]
        if odd:
            problems.add(_PHONES, f"{name}: {', '.join(odd)}")


def find_faults(
    folder: Path, texts: Mapping[str, str]
) -> Iterator[tuple[str, str, int | None, str]]:
    """Everything that is wrong with the scores of a set: (kind of problem, file, line, message).

    Args:
        folder: the set, with or without scores.
        texts: every utterance of the set and its transcript, or empty.
    """
    scores, faults = examine(folder)
    for name, line, message in (*faults, *find_rater_faults(folder)[1]):
        yield "scores", name, line, message
    problems = Problems()
    scores = scores.part(texts)  # unknown utterances are told line by line
    check_scores(scores, texts, (), problems)
    for kind, message in problems:
        level = "word" if kind == _WORDS else "phone"
        yield "scores", table_name(level), None, f"{kind}: {message}"
    for level in LEVELS:
        table = getattr(scores, f"{level}s")
        if (folder / table_name(level)).is_file() and (missing := sorted(texts.keys() - table)):
            some = ", ".join(missing[:3]) + (", ..." if missing[3:] else "")
            message = f"{len(missing)} utterances are not in it ({some})"
            yield "unscored", table_name(level), None, message


def _words(text: str) -> list[str]:
    found = (_NOT_IN_WORDS.sub("", word) for word in visible(text).upper().split())
    return [word for word in found if word]
