"""What each of several raters gave an utterance: the table ``rater_scores.tsv`` of a set.

Tab-separated with a header: ``utt``, ``rater``, and any of accuracy, completeness, fluency,
prosodic, total, on the scales of ``score_scales.json``. One line is an utterance as one rater
heard it; not every rater has to have scored every utterance.
"""

from __future__ import annotations

from pathlib import Path

from speechkit.base.errors import DataError
from speechkit.base.tables import write_tsv
from speechkit.labels.score_files import number_text
from speechkit.labels.score_tables import (
    SCALES_FILE,
    Fault,
    read_rows,
    read_scales,
    take_values,
)
from speechkit.labels.scores import LEVELS, RaterScores, Scales

FILE = "rater_scores.tsv"
FIXED = ("utt", "rater")
NAMES = LEVELS["utterance"]


def examine(path: Path, scales: Scales) -> tuple[RaterScores, list[Fault]]:
    """Read whatever can be read of a table of raters, and list everything that is wrong in it."""
    found: RaterScores = {}
    faults: list[Fault] = []
    for number, row in read_rows(path, FIXED, NAMES, faults):
        if problem := _take(found, scales, row):
            faults.append((path.name, number, problem))
    return found, faults


def _take(found: RaterScores, scales: Scales, row: dict[str, str]) -> str:
    """Add a line; what is wrong with it, if anything is."""
    name, rater = row["utt"], row["rater"]
    if name.split() != [name]:
        return f"the utterance id '{name}' is empty or holds spaces"
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
    path = folder / FILE
    if not path.is_file():
        return {}
    found, faults = find_faults(folder)
    if faults:
        name, line, message = faults[0]
        more = f" ({len(faults) - 1} more problems)" if len(faults) > 1 else ""
        raise DataError(
            f"{folder / name}{f':{line}' if line else ''}: {message}{more}.",
            "`speechkit validate` lists every problem of a set.",
        )
    return found


def find_faults(folder: Path) -> tuple[RaterScores, list[Fault]]:
    """As :func:`examine`, of a set with its scales; nothing where it has no such table."""
    if not (folder / FILE).is_file():
        return {}, []
    return examine(folder / FILE, read_scales(folder / SCALES_FILE)[0])


def write_raters(folder: Path, raters: RaterScores) -> None:
    """Write the table of a set, with the scores that any rater gave."""
    names = given(raters)
    rows = [
        [utterance, rater, *(number_text(scores.get(name)) for name in names)]
        for utterance in sorted(raters, key=str.encode)
        for rater, scores in sorted(raters[utterance].items())
    ]
    write_tsv(folder / FILE, (*FIXED, *names), rows)


def given(raters: RaterScores) -> tuple[str, ...]:
    """Names of the scores that any rater gave."""
    found = {name for of in raters.values() for scores in of.values() for name in scores}
    return tuple(name for name in NAMES if name in found)


def mean_scores(raters: RaterScores) -> dict[str, dict[str, float]]:
    """Utterance -> name -> mean over the raters who gave that score.

    As in Lin and Wang (Interspeech 2021), section 3.1.
    """
    found: dict[str, dict[str, float]] = {}
    for utterance, of in raters.items():
        for name in NAMES:
            values = [scores[name] for scores in of.values() if name in scores]
            if values:
                found.setdefault(utterance, {})[name] = sum(values) / len(values)
    return found
