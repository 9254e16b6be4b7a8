"""Anyone's own data, in the form that it has: folders, tables, manifests, saved datasets.

Labels of emotion come from a table of utterances or files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speechkit.base.errors import ConfigError, UserError, closest
from speechkit.base.log import counted, logger
from speechkit.base.tables import read_rows
from speechkit.base.text import composed
from speechkit.corpora.common import (
    Corpus,
    CorpusSet,
    Item,
    Names,
    full_path,
    parse_split,
    read_gender,
    require_folder,
    split_speakers,
)
from speechkit.corpora.config import CLASS, FolderConfig
from speechkit.corpora.folder import folders, lhotse, listed, saved
from speechkit.corpora.folder.scores import read_raters, read_scores
from speechkit.corpora.folder.speakers import Speakers
from speechkit.corpora.folder.tables import LABELS as COLUMNS
from speechkit.labels import emotions
from speechkit.labels.config import KEEP, LOWER, STOP

EMOTION = "utt2emotion"
_OF_ONE_SET = ("split", "scores", "raters", "labels")
KEYS = ("utt", "path")
LAYOUT = (
    "a table 'utt<TAB>emotion' or 'path<TAB>emotion', with or without that header line; with it, "
    "columns 'intensity' and 'statement' may follow."
)
_NAMED = 3  # utterances named in a message


def read_corpus(path: Path, config: FolderConfig | None = None) -> Corpus:
    """Read own data into one set, or into several: its own parts, or with different speakers.

    Raises:
        UserError: nothing there, no audio, unknown speakers, a bad table or split, scores
            that cannot be read or do not fit.
    """
    config, path = config or FolderConfig(), full_path(path)
    names = Names()
    speakers = Speakers(config.speaker_pattern, names)
    parts, metadata = read_parts(path, config, names, speakers)
    params: dict[str, Any] = {"path": str(path)}
    for field in ("layout", "speaker_pattern", "scales"):
        if given := getattr(config, field):
            params[field] = given
    for what in ("scores", "raters", "labels"):
        if (file := getattr(config, what)) is not None:
            params[what] = str(full_path(file))
    if config.gender_file is not None:
        metadata.append(full_path(config.gender_file))
    for whole in parts.values():
        if config.gender_file is not None:
            whole.gender.update(_genders(config.gender_file, whole, names))
        metadata += _add_scores(whole, config.scores, config.raters, config.scales)
        metadata += _add_labels(whole, config, path, params)
    names.report()
    speakers.report()
    if set(parts) != {""}:
        return Corpus("prepare folder", params, _own_parts(path, parts, config), metadata)
    shares = parse_split(config.split) if config.split else {config.set_name: 1.0}
    if config.split:
        params.update(split=shares, seed=config.seed)
    return Corpus(
        "prepare folder", params, split_speakers(parts[""], shares, config.seed), metadata
    )


def read_parts(
    path: Path, config: FolderConfig, names: Names, speakers: Speakers
) -> tuple[dict[str, CorpusSet], list[Path]]:
    """What a path holds, by the names of its own parts (``""`` where it has none), and the tables
    that were read."""
    if not path.is_file():
        path = require_folder(path, folders.LAYOUT)
    if not config.layout and (pair := lhotse.manifests(path)) is not None:
        return {"": lhotse.read_manifests(*pair, names, speakers)}, list(pair)
    if path.is_file():
        pattern = bool(config.speaker_pattern)
        return {"": listed.read_list(path, names, speakers, pattern)}, [path]
    if not config.layout and (parts_of := saved.saved_parts(path)):
        files = [file for folder in parts_of.values() for file in saved.files_of(folder)]
        return {
            name: saved.read_saved(folder, names, speakers) for name, folder in parts_of.items()
        }, files
    if not config.layout and (tables := listed.hub_parts(path)):
        read = {
            name: listed.read_metadata(table, names, speakers) for name, table in tables.items()
        }
        return read, list(tables.values())
    if config.layout != CLASS:
        return {"": folders.read_speakers(path, names, config.layout)}, []
    parts = {one.name: one for one in folders.split_folders(path)} or {"": path}
    return {name: folders.read_classes(one, speakers) for name, one in parts.items()}, []


def _own_parts(path: Path, parts: dict[str, CorpusSet], config: FolderConfig) -> list[CorpusSet]:
    """The parts of a corpus as sets of their own."""
    given = [field for field in _OF_ONE_SET if getattr(config, field)]
    if given:
        raise ConfigError(
            given[0],
            f"is for one set; {path} has the parts {', '.join(parts)}.",
            f"Leave it out, or prepare one of them: {path / next(iter(parts))}",
        )
    prefix = "" if config.set_name == FolderConfig.set_name else f"{config.set_name}_"
    for name, one in parts.items():
        one.name = f"{prefix}{name}"
    return list(parts.values())


def _add_labels(
    whole: CorpusSet, config: FolderConfig, path: Path, params: dict[str, Any]
) -> list[Path]:
    """Read labels of emotion into a set, and settle how they are written; files that were read."""
    labels, case, read = config.labels, config.case, []
    if labels is not None:
        base = path if path.is_dir() else path.parent
        whole.items, whole.tables = read_labels(labels, whole.items, base, whole.unread)
        read.append(full_path(labels))
    if found := whole.tables.get(EMOTION):
        whole.tables[EMOTION] = choose_case(found, labels or path, case)
        if case != STOP:
            params.update(label_case=case)
        if case == KEEP:
            whole.files[emotions.CASE_FILE] = f"{case}\n"
    return read


def _add_scores(
    whole: CorpusSet, scores: Path | None, raters: Path | None, scales: str
) -> list[Path]:
    """Read scores of pronunciation into a set; the files that were read."""
    if scales and scores is None and raters is None:
        raise ConfigError(
            "score_scales", f"{scales} is given, but no scores.", "Add `scores` or `raters`."
        )
    texts = {item.utterance: item.text for item in whole.items}
    read: list[Path] = []
    if scores is not None:
        whole.scores, read = read_scores(full_path(scores), texts, scales)
    if raters is not None:
        whole.scores, whole.raters, more = read_raters(raters, texts, whole.scores, scales)
        read += more
    return read


def _genders(file: Path, whole: CorpusSet, names: Names) -> dict[str, str]:
    """Speaker id -> gender from a file, for the speakers of the set."""
    given = {names.clean(name): value for name, value in read_gender(full_path(file)).items()}
    speakers = {item.speaker for item in whole.items}
    for what, some in (
        (f"speakers of {file} have no audio", set(given) - speakers),
        (f"speakers are not in {file}; their gender is unknown", speakers - set(given)),
    ):
        if some:
            logger.warning(f"{len(some)} {what} ({', '.join(sorted(some)[:3])}).")
    return given


def read_labels(
    path: Path,
    items: Sequence[Item],
    base: Path,
    unread: Sequence[Item] = (),
) -> tuple[list[Item], dict[str, dict[str, str]]]:
    """Label tables of a set (``utt2emotion`` ...), and the utterances that have a label.

    Utterances without a label are left out and counted.

    Args:
        base: folder that relative paths in the table are of, besides the table's own.
        unread: recordings that are not read, whose labels are passed over.

    Raises:
        UserError: a line that does not fit, an unknown or twice labelled utterance, no labels.
    """
    path = full_path(path)
    header, rows = _rows(path)
    found: dict[str, dict[str, str]] = {name: {} for name in header[1:]}
    by_name, passed = _names(items), _names(unread)
    for number, cells in rows:
        utterance = _find(cells[0], by_name, (path.parent, base))
        if utterance is None and _find(cells[0], passed, (path.parent, base)):
            continue
        if utterance is None:
            near = closest(cells[0], [item.utterance for item in items])
            raise UserError(
                f"{path}:{number}: there is no utterance '{cells[0]}'.{near}",
                "The first column is an utterance id (as SPEAKER-FILE), or a path of a recording.",
            )
        if utterance in found["emotion"]:
            raise UserError(f"{path}:{number}: '{utterance}' is labelled twice.")
        for name, value in zip(header[1:], cells[1:], strict=True):
            if value:
                found[name][utterance] = value
            elif name == "emotion":
                raise UserError(f"{path}:{number}: '{cells[0]}' has no emotion.")
    kept = [item for item in items if item.utterance in found["emotion"]]
    if not kept:
        raise UserError(f"{path} labels no utterance.", f"Expected: {LAYOUT}")
    if len(kept) < len(items):
        without = [i.utterance for i in items if i.utterance not in found["emotion"]]
        some = ", ".join(without[:_NAMED])
        many = counted(len(without), "utterance has", "utterances have")
        logger.warning(f"{many} no label in {path}; left out: {some} ...")
    return kept, {f"utt2{name}": table for name, table in found.items() if table}


def choose_case(labels: Mapping[str, str], path: Path, case: str) -> dict[str, str]:
    """Labels by utterance, as classes that differ in case only are to be treated.

    Args:
        path: that they are from, for messages.
        case: ``stop`` at such classes, write all in ``lower`` case, or ``keep`` them.

    Raises:
        UserError: there are such classes, and it is to stop.
    """
    if case == STOP:
        emotions.require_one_case(labels.values(), path, "")
    return {name: value.lower() if case == LOWER else value for name, value in labels.items()}


def _rows(path: Path) -> tuple[tuple[str, ...], list[tuple[int, list[str]]]]:
    """Names of the columns; line number and cells of every line that is not empty."""
    if not path.is_file():
        raise ConfigError("labels", f"{path} is not a file.", f"Expected: {LAYOUT}")
    header: tuple[str, ...] = ("utt", "emotion")
    found = read_rows(path)
    rows: list[tuple[int, list[str]]] = []
    for place, (number, raw) in enumerate(found.rows):
        cells = [composed(" ".join(cell.split())) for cell in raw]
        if place == 0 and cells[0].lower() in KEYS:
            header = tuple(name.lower() for name in cells)
            _check_columns(path, header[1:])
        elif len(cells) != len(header) or not cells[0]:
            raise found.misfit(number, cells, header)
        else:
            rows.append((number, cells))
    return header, rows


def _check_columns(path: Path, names: Sequence[str]) -> None:
    """Raise UserError for an unknown or repeated column, or where that of emotions is missing."""
    for name in names:
        if name not in COLUMNS or names.count(name) > 1:
            raise UserError(
                f"{path}:1: the column '{name}' is not known or comes twice."
                f"{closest(name, COLUMNS)}",
                f"Accepted: {', '.join(COLUMNS)}. Expected: {LAYOUT}",
            )
    if "emotion" not in names:
        raise UserError(f"{path}:1: there is no column 'emotion'.", f"Expected: {LAYOUT}")


def _names(items: Sequence[Item]) -> dict[str, str]:
    """Utterance id and absolute path of the audio -> utterance id."""
    names = {composed(os.path.normpath(item.audio)): item.utterance for item in items}
    return names | {item.utterance: item.utterance for item in items}


def _find(name: str, known: Mapping[str, str], folders: Sequence[Path]) -> str | None:
    if name in known:
        return known[name]
    for folder in folders:  # joining drops the folder in front of an absolute path
        joined = os.path.join(folder, name)  # noqa: PTH118
        found = known.get(composed(os.path.normpath(joined)))
        if found is not None:
            return found
    return None
