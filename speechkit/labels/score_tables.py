"""Tables of scores read however broken they are, with what is wrong in each line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from speechkit.base.errors import DataError, UserError, closest
from speechkit.base.schema import parse_json, read_text
from speechkit.base.text import composed, read_lines, visible
from speechkit.labels.scores import (
    LEVELS,
    PhoneScore,
    Scales,
    Scores,
    WordScores,
    default_scales,
)

SCALES_FILE = "score_scales.json"
FIXED = {
    "phone": ("utt", "word", "index", "phone"),
    "word": ("utt", "index", "word"),
    "utterance": ("utt",),
}
"""Columns that are not scores, by level."""
Fault = tuple[str, "int | None", str]
"""File, line, and what is wrong."""
_TEXTS = ("word", "phone")


def table_name(level: str) -> str:
    """File of a level: ``word_scores.tsv``."""
    return f"{level}_scores.tsv"


def examine(folder: Path) -> tuple[Scores, list[Fault]]:
    """Read whatever can be read of a set's scores, and list everything that is wrong in them."""
    scales, fault = read_scales(folder / SCALES_FILE)
    paths = {level: folder / table_name(level) for level in LEVELS}
    present = {level: path for level, path in paths.items() if path.is_file()}
    scores, faults = examine_tables(present, scales)
    return scores, [*fault, *faults]


def examine_tables(tables: Mapping[str, Path], scales: Scales) -> tuple[Scores, list[Fault]]:
    """As :func:`examine`, of tables (by level) with any names."""
    faults: list[Fault] = []
    scores = Scores(scales=scales)
    for level, path in tables.items():
        for number, row in read_rows(path, FIXED[level], LEVELS[level], faults):
            if problem := _take(scores, level, row):
                faults.append((path.name, number, problem))
    for name, phones in scores.phones.items():
        words = scores.words.get(name)
        if words and phones and phones[-1].word_index != len(words) - 1:
            message = (
                f"'{name}' has phones up to word {phones[-1].word_index + 1}, but "
                f"{tables['word'].name} has {len(words)}"
            )
            faults.append((tables["phone"].name, None, message))
    return scores, faults


def read_scales(path: Path) -> tuple[Scales, list[Fault]]:
    """The scales in a file and what is wrong with it; the default ones if it is not there."""
    if not path.is_file():
        return default_scales(), []
    try:
        return parse_scales(parse_json(read_text(path), object, "it")), []
    except DataError as error:
        message = error.problem.rstrip(".")
    return default_scales(), [(path.name, None, message)]


def parse_scales(loaded: Any) -> Scales:
    """Scales from ``{level: {name: [lowest, highest]}}``; what it lacks has the default.

    Raises:
        DataError: an unknown level or name, or values that are no range.
    """
    scales = default_scales()
    for level, names in loaded.items() if isinstance(loaded, dict) else [("", None)]:
        if level not in LEVELS or not isinstance(names, dict):
            raise DataError(
                f"'{level}' is no level of scores.", f"Expected: {{{', '.join(LEVELS)}: {{...}}}}"
            )
        for name, ends in names.items():
            if name not in LEVELS[level]:
                raise DataError(
                    f"'{name}' is no score of a {level}.{closest(name, LEVELS[level])}",
                    f"Accepted: {', '.join(LEVELS[level])}.",
                )
            try:
                low, high = (float(end) for end in ends)
            except (TypeError, ValueError):
                low = high = math.nan
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise DataError(
                    f"The scale of {level} {name}, {ends}, is not [lowest, highest].",
                    "Example: [0, 10]",
                )
            scales[level][name] = (low, high)
    return scales


def read_rows(
    path: Path, fixed: Sequence[str], names: Sequence[str], faults: list[Fault]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and named columns of every line that has as many as the header.

    Args:
        fixed: columns that it must have.
        names: scores, each of which may be a column.
    """
    try:
        lines = read_lines(path)
    except UserError as error:
        faults.append((path.name, None, error.problem.removeprefix(f"{path} ").rstrip(".")))
        return
    columns = [name.strip().lower() for name in lines[0].split("\t")] if lines else []
    for name in fixed:
        if name not in columns:
            faults.append((path.name, 1, f"there is no column '{name}'"))
    known = (*fixed, *names)
    for name in columns:
        if name not in known or columns.count(name) > 1:
            accepted = f"{closest(name, known)} Accepted: {', '.join(known)}"
            faults.append(
                (path.name, 1, f"the column '{name}' is not known or comes twice.{accepted}")
            )
    if any(line == 1 and name == path.name for name, line, _ in faults):
        return
    for number, line in enumerate(lines[1:], 2):
        fields = composed(line).split("\t")
        if len(fields) != len(columns):
            message = f"expected {len(columns)} columns separated by tabs, found {len(fields)}"
            faults.append((path.name, number, message))
            continue
        row = dict(zip(columns, (value.strip() for value in fields), strict=True))
        if row["utt"].split() == [row["utt"]]:
            yield number, {k: visible(v) if k in _TEXTS else v for k, v in row.items()}
        else:
            message = f"the utterance id '{row['utt']}' is empty or holds spaces"
            faults.append((path.name, number, message))


def _take(scores: Scores, level: str, row: dict[str, str]) -> str:
    """Add a line to the scores; what is wrong with it, if anything is."""
    name = row["utt"]
    values, problem, readable = take_values(scores.scales, level, row)
    if not readable:
        return f"'{name}': {problem}"
    if level == "utterance":
        if name in scores.utterances:
            return f"'{name}' comes twice"
        scores.utterances[name] = values
    elif level == "word":
        words = scores.words.setdefault(name, [])
        if row["index"] != str(len(words)):
            return f"'{name}': the word has the index '{row['index']}', expected {len(words)}"
        if not row["word"]:
            return f"'{name}': word {row['index']} is empty"
        words.append(WordScores(row["word"], values))
    else:
        problem = _take_phone(scores, row, values.get("accuracy", math.nan)) or problem
    return f"'{name}': {problem}" if problem else ""


def take_values(
    scales: Scales, level: str, row: Mapping[str, str]
) -> tuple[dict[str, float], str, bool]:
    """The scores in a line, what is wrong with them, and whether all of them are numbers."""
    values: dict[str, float] = {}
    problem = ""
    for column in LEVELS[level]:
        if row.get(column):
            try:
                values[column] = float(row[column])
            except ValueError:
                return values, f"the {column} '{row[column]}' is not a number", False
            problem = problem or range_problem(scales, level, column, values[column])
    return values, problem, True


def _take_phone(scores: Scores, row: dict[str, str], accuracy: float) -> str:
    phones = scores.phones.setdefault(row["utt"], [])
    last = phones[-1].word_index if phones else -1
    if row["index"] != str(len(phones)):
        return f"the phone has the index '{row['index']}', expected {len(phones)}"
    if row["word"] not in ({"0"} if last < 0 else {str(last), str(last + 1)}):
        return f"the phone is of word '{row['word']}', expected {max(last, 0)} or {last + 1}"
    if row["phone"].split() != [row["phone"]]:
        return f"the phone '{row['phone']}' is empty or holds spaces"
    phones.append(PhoneScore(row["phone"], int(row["word"]), accuracy))
    return ""


def range_problem(scales: Scales, level: str, name: str, value: float) -> str:
    """What is wrong with a score: not a number, or outside its scale; empty if nothing is."""
    low, high = scales[level][name]
    if low <= value <= high:
        return ""
    return f"the {level} {name} {value:g} is outside {low:g} to {high:g}"
