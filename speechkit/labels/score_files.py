"""Scores of pronunciation: what experts gave an utterance, its words and its phones.

A set that was scored has up to three tab-separated tables with a header, beside its other
tables, and a file that says between which values every score lies:

- ``utterance_scores.tsv``: ``utt``, and any of accuracy, completeness, fluency, prosodic, total
- ``word_scores.tsv``: ``utt``, ``index`` (from 0), ``word``, and any of accuracy, stress, total
- ``phone_scores.tsv``: ``utt``, ``word`` (index of the word), ``index`` (in the utterance, from
  0), ``phone`` (the canonical one, as given), and accuracy
- ``score_scales.json``: ``{"utterance": {"accuracy": [0, 10], ...}, "word": ..., "phone": ...}``

A corpus without some of them leaves the file or the column out; an empty cell was not scored.
What each of several raters gave is in a further table, ``rater_scores.tsv``: ``utt``, ``rater``,
and the names of ``utterance_scores.tsv``. One line is an utterance as one rater heard it; not
every rater has to have scored every utterance.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from speechkit.base.errors import DataError
from speechkit.base.tables import write_tsv
from speechkit.labels.score_tables import (
    FIXED,
    SCALES_FILE,
    Fault,
    examine,
    read_rows,
    read_scales,
    table_name,
    take_values,
)
from speechkit.labels.scores import (
    LEVELS,
    RaterScores,
    Scales,
    Scores,
    WordScores,
)

RATERS_FILE = "rater_scores.tsv"
RATER_COLUMNS = ("utt", "rater")
RATED = LEVELS["utterance"]


def score_files(folder: Path) -> list[Path]:
    """The score files that a set has (inputs of a stage that reads the scores)."""
    names = (*(table_name(level) for level in LEVELS), SCALES_FILE)
    return [folder / name for name in names if (folder / name).is_file()]


def read_scores(folder: Path) -> Scores:
    """Read the scores of a set, ``data/<set>``.

    Raises:
        DataError: the set has none, or a line that breaks the format (the first is named,
            with its file and number).
    """
    if not any((folder / table_name(level)).is_file() for level in LEVELS):
        raise DataError(
            f"{folder} has no scores: none of {', '.join(map(table_name, LEVELS))}.",
            "Make the set with `speechkit prepare speechocean762`, or of own data with "
            "`speechkit prepare folder PATH --scores SCORES`.",
        )
    scores, faults = examine(folder)
    _raise_first(folder, faults)
    return scores


def _raise_first(folder: Path, faults: Sequence[Fault]) -> None:
    if faults:
        name, line, message = faults[0]
        more = f" ({len(faults) - 1} more problems)" if len(faults) > 1 else ""
        raise DataError(
            f"{folder / name}{f':{line}' if line else ''}: {message}{more}.",
            "`speechkit validate` lists every problem of a set.",
        )


def canonical_phones(folder: Path) -> dict[str, list[list[str]]] | None:
    """Utterance -> for each of its words the canonical phones, as given.

    None if the set has no ``phone_scores.tsv``.

    Raises:
        DataError: as :func:`read_scores`.
    """
    if not (folder / table_name("phone")).is_file():
        return None
    found: dict[str, list[list[str]]] = {}
    for utterance, phones in read_scores(folder).phones.items():
        words: list[list[str]] = [[] for _ in range(phones[-1].word_index + 1)]
        for phone in phones:
            words[phone.word_index].append(phone.phone)
        found[utterance] = words
    return found


def scored_words(folder: Path) -> dict[str, list[WordScores]]:
    """Utterance -> its words with their scores; empty if the set has no ``word_scores.tsv``.

    Raises:
        DataError: as :func:`read_scores`.
    """
    return read_scores(folder).words if (folder / table_name("word")).is_file() else {}


def write_scores(folder: Path, scores: Scores, also: Collection[str] = ()) -> None:
    """Write the score files of a set: only the levels and names in which anything was scored.

    Args:
        scores: ``phones`` without accuracies are written too, as canonical phones.
        also: aspects that other files of the set have scores of: their scales are written.
    """
    given = set(scores.aspects())
    for level, names in LEVELS.items():
        columns = [name for name in names if f"{level}_{name}" in given]
        rows = list(_rows(scores, level, columns))
        if rows and (columns or level == "phone"):
            write_tsv(folder / table_name(level), (*FIXED[level], *columns), rows)
    scales = {
        level: {
            name: list(scores.scales[level][name])
            for name in names
            if f"{level}_{name}" in given.union(also)
        }
        for level, names in LEVELS.items()
    }
    lines = (f' "{level}": {json.dumps(kept)}' for level, kept in scales.items() if kept)
    text = ",\n".join(lines)
    (folder / SCALES_FILE).write_text(f"{{\n{text}\n}}\n", encoding="utf-8")


def _rows(scores: Scores, level: str, columns: list[str]) -> Iterator[list[str]]:
    table: Mapping[str, Any] = getattr(scores, f"{level}s")
    for utterance in sorted(table, key=str.encode):
        if level == "utterance":
            yield [utterance, *(number_text(table[utterance].get(name)) for name in columns)]
            continue
        for index, item in enumerate(table[utterance]):
            if level == "word":
                values = [number_text(item.scores.get(name)) for name in columns]
                yield [utterance, str(index), item.word, *values]
            else:
                values = [number_text(item.accuracy) for _ in columns]
                yield [utterance, str(item.word_index), str(index), item.phone, *values]


def number_text(value: float | None) -> str:
    """A score as it stands in a table: ``8``, ``7.5``; empty where there is none."""
    return "" if value is None or math.isnan(value) else repr(float(value)).removesuffix(".0")


def examine_raters(path: Path, scales: Scales) -> tuple[RaterScores, list[Fault]]:
    """Read whatever can be read of a table of raters, and list everything that is wrong in it."""
    found: RaterScores = {}
    faults: list[Fault] = []
    for number, row in read_rows(path, RATER_COLUMNS, RATED, faults):
        if problem := _take_rater(found, scales, row):
            faults.append((path.name, number, problem))
    return found, faults


def _take_rater(found: RaterScores, scales: Scales, row: dict[str, str]) -> str:
    """Add a line; what is wrong with it, if anything is."""
    name, rater = row["utt"], row["rater"]
    if not rater:
        return f"'{name}': no rater is named"
    values, problem, readable = take_values(scales, "utterance", row)
    of_utterance = found.setdefault(name, {})
    if rater in of_utterance:
        problem = problem or f"the rater '{rater}' comes twice"
    elif readable:
        of_utterance[rater] = values
    return f"'{name}': {problem}" if problem else ""


def read_raters(folder: Path) -> RaterScores:
    """The raters of a set, ``data/<set>``; nothing where it has no such table.

    Raises:
        DataError: a line that breaks the format (the first is named, with its number).
    """
    found, faults = find_rater_faults(folder)
    _raise_first(folder, faults)
    return found


def find_rater_faults(folder: Path) -> tuple[RaterScores, list[Fault]]:
    """As :func:`examine_raters`, of a set with its scales; nothing where it has no such table."""
    if not (folder / RATERS_FILE).is_file():
        return {}, []
    return examine_raters(folder / RATERS_FILE, read_scales(folder / SCALES_FILE)[0])


def write_raters(folder: Path, raters: RaterScores) -> None:
    """Write the table of a set, with the scores that any rater gave."""
    names = rated(raters)
    rows = [
        [utterance, rater, *(number_text(scores.get(name)) for name in names)]
        for utterance in sorted(raters, key=str.encode)
        for rater, scores in sorted(raters[utterance].items())
    ]
    write_tsv(folder / RATERS_FILE, (*RATER_COLUMNS, *names), rows)


def rated(raters: RaterScores) -> tuple[str, ...]:
    """Names of the scores that any rater gave."""
    found = {name for of in raters.values() for scores in of.values() for name in scores}
    return tuple(name for name in RATED if name in found)


def mean_scores(raters: RaterScores) -> dict[str, dict[str, float]]:
    """Utterance -> name -> mean over the raters who gave that score.

    As in Lin and Wang (Interspeech 2021), section 3.1.
    """
    found: dict[str, dict[str, float]] = {}
    for utterance, of in raters.items():
        for name in RATED:
            values = [scores[name] for scores in of.values() if name in scores]
            if values:
                found.setdefault(utterance, {})[name] = sum(values) / len(values)
    return found
