"""Scores of own data, and what each of several raters gave.

Scores are tables as in a set, or one JSON file in the format of speechocean762.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from pathlib import Path

from speechkit.base.errors import ConfigError, DataError, UserError
from speechkit.base.log import counted, logger
from speechkit.base.text import read_lines
from speechkit.corpora.common import full_path
from speechkit.corpora.scored import Problems, check_scores, read_json
from speechkit.labels.score_files import RATED, examine_raters, mean_scores
from speechkit.labels.score_tables import (
    LEVELS,
    SCALES_FILE,
    Scales,
    examine_tables,
    parse_scales,
    read_scales,
    table_name,
)
from speechkit.labels.scores import RaterScores, Scores

FORM = (
    "a folder with "
    + ", ".join(table_name(level) for level in LEVELS)
    + " (any of them), one such table, or a JSON file in the format of speechocean762's scores.json"
)

RATERS_FORM = f"a table with the columns utt, rater, and any of {', '.join(RATED)}"


def read_scores(
    path: Path, texts: Mapping[str, str], scales: str = ""
) -> tuple[Scores, list[Path]]:
    """Read scores and compare them with the utterances that they are for.

    Args:
        path: a folder of tables (with ``score_scales.json``, if the scales are others than
            speechocean762's), one table, or a JSON file.
        texts: utterance -> transcript (empty where there is none), of the whole corpus.
        scales: a JSON file with scales, or text as :func:`parse_scales_option` reads it.

    Returns:
        The scores, and the files that were read.

    Raises:
        UserError: nothing there, or any problem in it; all of them are listed.
    """
    problems = Problems()
    tables = _tables(path)
    files = list(tables.values()) or [path]
    used, scales_file = given_scales(path, scales, problems)
    if scales_file is not None:
        files.append(scales_file)
    if tables:
        scores, faults = examine_tables(tables, used)
        problems.add_lines(faults)
    else:
        scores = read_json(path, texts, used, problems)
    _compare_ids(path, "scored", scores.names(), texts, problems)
    scores = scores.part(texts)
    if missing := len(texts) - len(scores.names()):
        logger.warning(f"{path} has no scores of {missing} of {counted(len(texts), 'utterance')}.")
    check_scores(scores, texts, (), problems)
    remedy = "Mend these lines; see 'Scores' in the documentation of prepare."
    problems.raise_if_any(path, scales_remedy(scores) or remedy)
    return scores, files


def _compare_ids(
    path: Path, what: str, ids: Set[str], texts: Mapping[str, str], problems: Problems
) -> None:
    """Say how many ``scored`` or ``rated`` utterances are unknown; none known is a problem."""
    unknown = sorted(ids - texts.keys())
    if not ids & texts.keys():
        example = f" ('{unknown[0]}')" if unknown else ""
        message = f"no {what} utterance{example} is one of the corpus ('{min(texts)}')"
        problems.add("ids", f"{message}: a column 'utt' in the list of recordings names them")
    elif unknown:
        logger.warning(
            f"{path}: {counted(len(unknown), f'{what} utterance')} not in the corpus, left out "
            f"({', '.join(unknown[:3])})."
        )


def scales_remedy(scores: Scores) -> str:
    """What to do about scores outside their scales; empty if there are none."""
    wider = scores.wider_scales()
    return wider and (
        "Mend these lines, or say between which values the scores lie, for example: "
        f"`score_scales` {wider}"
    )


def _tables(path: Path) -> dict[str, Path]:
    """Tables by level; none for a JSON file."""
    if path.is_dir():
        paths = {level: path / table_name(level) for level in LEVELS}
        if found := {level: file for level, file in paths.items() if file.is_file()}:
            return found
        raise UserError(f"{path} holds no table of scores.", f"Expected: {FORM}.")
    if not path.is_file():
        raise UserError(f"{path} does not exist.", f"Expected: {FORM}.")
    if path.suffix.lower() == ".json":
        return {}
    columns = (read_lines(path) or [""])[0].lower().split("\t")
    if "utt" not in columns:
        raise UserError(f"{path}:1: there is no column 'utt'.", f"Expected: {FORM}.")
    return {"phone" if "phone" in columns else "word" if "word" in columns else "utterance": path}


def given_scales(path: Path, given: str, problems: Problems) -> tuple[Scales, Path | None]:
    """The scales, and the file that they are from.

    Args:
        path: of the scores; a folder may hold ``score_scales.json``.
        given: by ``score_scales``; empty if not.
    """
    file = Path(given).expanduser() if given else path / SCALES_FILE
    if given and not file.is_file():
        return parse_scales_option(given), None
    scales, faults = read_scales(file)
    for name, _, message in faults:
        problems.add(name, message)
    return scales, file if file.is_file() else None


def parse_scales_option(text: str) -> Scales:
    """Scales from ``utterance=0:100,word.stress=0:1,phone=0:2``.

    A level without a name sets all its scores; what is not named has the default.

    Raises:
        UserError: another form, or an unknown level or score.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for part in text.split(","):
        key, _, ends = (value.strip() for value in part.partition("="))
        level, _, name = key.partition(".")
        if not ends or level not in LEVELS:
            raise UserError(
                f"`score_scales` '{text}': '{part.strip()}' is not LEVEL=LOW:HIGH, and it is no "
                "file.",
                f"Levels: {', '.join(LEVELS)}. Example: utterance=0:100,word.stress=0:1",
            )
        names = [name] if name else LEVELS[level]
        found.setdefault(level, {}).update({n: ends.split(":") for n in names})
    try:
        return parse_scales(json.loads(json.dumps(found)))
    except DataError as error:
        raise ConfigError("score_scales", f"'{text}': {error.problem}", error.remedy) from None


def read_raters(
    path: Path, texts: Mapping[str, str], scores: Scores | None, scales: str = ""
) -> tuple[Scores, RaterScores, list[Path]]:
    """Read the table of raters, and compare it with the utterances that it is for.

    Args:
        scores: of the corpus, where they are given on their own; their scales hold.
        scales: as :func:`speechkit.corpora.folder.scores.read_scores`.

    Returns:
        The scores (those given; where none are of utterances, the means of the raters), what
        each rater gave, and the files that were read.

    Raises:
        UserError: nothing there, or any problem in it; all of them are listed.
    """
    path = full_path(path)
    if not path.is_file():
        raise ConfigError("raters", f"{path} is not a file.", f"Expected: {RATERS_FORM}.")
    problems, files = Problems(), [path]
    if scores is None:
        used, scales_file = given_scales(path, scales, problems)
        scores = Scores(scales=used)
        files += [scales_file] if scales_file is not None else []
    raters, faults = examine_raters(path, scores.scales)
    problems.add_lines(faults)
    _compare_ids(path, "rated", raters.keys(), texts, problems)
    each = {f"{name} {rater}": of[rater] for name, of in raters.items() for rater in of}
    remedy = scales_remedy(Scores(each, scales=scores.scales))
    problems.raise_if_any(path, remedy or f"Mend these lines. Expected: {RATERS_FORM}.")
    raters = {name: of for name, of in raters.items() if name in texts}
    if not scores.utterances:
        scores = Scores(mean_scores(raters), scores.words, scores.phones, scores.scales)
        if missing := len(texts.keys() - scores.utterances.keys()):
            every = counted(len(texts), "utterance")
            logger.warning(f"{path} has no ratings of {missing} of {every}.")
    return scores, raters, files
