"""Scores of a corpus against its utterances, every problem at once; speechocean762's JSON.

``{utterance: {"accuracy": 8, "completeness": 10, "fluency": 9, "prosodic": 9, "total": 8,
"words": [{"text": "WE", "accuracy": 10, "stress": 10, "total": 10, "phones": ["W", "IY0"],
"phones-accuracy": [2, 1.8]}, ...]}, ...}``. Older copies have the phones of a word as one
string (``"W IY0"``). ``text-phone`` has lines ``utterance.word W_B IY0_E``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from speechkit.base import schema
from speechkit.base.errors import DataError, UserError
from speechkit.base.log import counted, logger
from speechkit.base.text import composed, read_text, some, visible, without_marks
from speechkit.kaldi.data import read_table
from speechkit.labels.miscues import TABLE, read_miscues, statuses
from speechkit.labels.phones import ARPABET, pure
from speechkit.labels.score_files import find_rater_faults
from speechkit.labels.score_tables import Fault, examine, range_problem, table_name
from speechkit.labels.scores import LEVELS, PhoneScore, Scales, Scores, WordScores

_INVENTORY = frozenset(ARPABET)
_WORDS, _PHONES = "words that disagree with the text", "phones outside ARPAbet"
SHOWN = 20  # of each kind of problem
_NOT_IN_WORDS = re.compile(r"[^\w']+")
_POSITION = re.compile(r"_[BIES]$")
_FORM, _RANGE = "entries of another form", "scores that are not in their range"
_COUNTS = "phone counts that disagree"


class Problems:
    """What is wrong with some scores, by kind."""

    def __init__(self) -> None:
        self._groups: dict[str, list[str]] = {}

    def add(self, kind: str, message: str) -> None:
        """Note a problem of a kind."""
        self._groups.setdefault(kind, []).append(message)

    def add_lines(self, faults: Iterable[Fault]) -> None:
        """Note what is wrong in the lines of tables."""
        for name, line, message in faults:
            self.add(name, f"line {line}: {message}" if line else message)

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
        texts: utterance -> transcript, or empty where there is none; case and punctuation
            do not count.
        wanted: utterances that must have scores.
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
            message = f"it lacks {counted(len(missing), 'utterance')} ({some(missing)})"
            yield "unscored", table_name(level), None, message
    try:
        for name, lines in read_miscues(folder).items():
            statuses(len(scores.words.get(name, ())), lines)
    except UserError as error:
        yield "scores", TABLE, None, error.problem


def _words(text: str) -> list[str]:
    found = (_NOT_IN_WORDS.sub("", word) for word in visible(text).upper().split())
    return [word for word in found if word]


def read_json(path: Path, wanted: Collection[str], scales: Scales, problems: Problems) -> Scores:
    """Read ``scores.json``.

    Args:
        wanted: utterances that are read; others are passed over.
        scales: between which values each score lies.

    Raises:
        DataError: it is not a JSON object.
    """
    remedy = "Expected: a JSON object {utterance: scores}. Copy it again if it was cut."
    schema.regular_file(path, schema.MOST_JSON)
    loaded = schema.parse_json(read_text(path), schema.Object, str(path), remedy)
    loaded = {composed(name): value for name, value in loaded.items()}
    scores = Scores(scales=scales)
    for name in sorted(set(wanted) & loaded.keys(), key=str.encode):
        entry = _Entry(name, scales, problems)
        scores.utterances[name] = entry.values("utterance", loaded[name])
        words = loaded[name].get("words", []) if isinstance(loaded[name], dict) else None
        if not isinstance(words, list) or not all(isinstance(word, dict) for word in words):
            problems.add(_FORM, f"{name}: expected an object with a list of words")
            continue
        if words:
            scores.words[name] = [
                WordScores(
                    composed(visible(str(word.get("text", "")))),
                    entry.values("word", word, f" word {index}"),
                )
                for index, word in enumerate(words)
            ]
        phones = [entry.phones(index, word) for index, word in enumerate(words)]
        if all(phones) and phones:
            scores.phones[name] = [phone for word in phones for phone in word]
        elif any(phones):
            bare = [k for k, word in enumerate(words) if not word.get("phones")]
            for index in bare:
                problems.add(_COUNTS, f"{name} word {index}: it has no phones, other words have")
    return scores


class _Entry:
    """The scores of one utterance."""

    def __init__(self, name: str, scales: Scales, problems: Problems) -> None:
        self.name, self.scales, self.problems = name, scales, problems

    def values(self, level: str, given: Any, where: str = "") -> dict[str, float]:
        """The scores of an object by name; absent or null ones were not scored."""
        given = given if isinstance(given, Mapping) else {}
        named = {name: given.get(name) for name in LEVELS[level]}
        found = {name: self._number(level, name, named[name], where) for name in named}
        return {name: value for name, value in found.items() if value is not None}

    def phones(self, index: int, word: Mapping[str, Any]) -> list[PhoneScore]:
        """The phones of a word with their scores; none if they cannot be understood."""
        where = f" word {index} '{word.get('text', '')}'"
        phones, given = word.get("phones", []), word.get("phones-accuracy", [])
        phones = phones.split() if isinstance(phones, str) else phones
        if not isinstance(phones, list) or not isinstance(given, list):
            self.problems.add(_FORM, f"{self.name}{where}: phones or phones-accuracy is no list")
            return []
        given = given or [None] * len(phones)
        if len(given) != len(phones):
            message = f"{self.name}{where}: phones: {len(phones)}, scores of them: {len(given)}"
            self.problems.add(_COUNTS, message)
            return []
        values = [self._number("phone", "accuracy", value, where) for value in given]
        return [
            PhoneScore(
                _POSITION.sub("", visible(str(phone)).strip()),
                index,
                math.nan if value is None else value,
            )
            for phone, value in zip(phones, values, strict=True)
        ]

    def _number(self, level: str, name: str, value: Any, where: str) -> float | None:
        if value is None:
            return None
        readable = isinstance(value, int | float) and not isinstance(value, bool)
        if readable:
            problem = range_problem(self.scales, level, name, float(value))
        else:
            problem = f"the {level} {name} {value!r} is not a number"
        if problem:
            self.problems.add(_RANGE, f"{self.name}{where}: {problem}")
        return float(value) if readable else None


def take_text_phone(
    path: Path, scores: Scores, texts: Mapping[str, str], problems: Problems
) -> None:
    """Compare the scored phones with ``text-phone``, or take them from there if none are scored.

    Another number of phones in a word is a problem. Other phones in the same number are
    only said, as the corpus aligns ``text-phone`` and scores the others.
    """
    table = {key: value.split() for key, value in read_table(path).items()}
    phones_of = {key: [_POSITION.sub("", p) for p in value] for key, value in table.items()}
    if not scores.phones:
        for name, text in texts.items():
            keys = [f"{name}.{index}" for index in range(len(text.split()))]
            if keys and all(key in phones_of for key in keys):
                scores.phones[name] = [
                    PhoneScore(p, index) for index, key in enumerate(keys) for p in phones_of[key]
                ]
        return
    differ = 0
    for name, phones in scores.phones.items():
        for index in range(phones[-1].word_index + 1):
            scored = [p.phone for p in phones if p.word_index == index]
            listed = phones_of.get(f"{name}.{index}", [])
            if len(scored) != len(listed):
                message = f"{name} word {index}: {' '.join(scored)} was scored, "
                message += f"{path.name} has {' '.join(listed) or 'none'}"
                problems.add(_COUNTS, message)
            differ += len(scored) == len(listed) and scored != listed
    if differ:
        logger.warning(f"{path}: other phones than were scored in {counted(differ, 'word')}.")
