"""Anyone's own data, in the form that it has: folders, tables, manifests, saved datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from speechkit.base.errors import ConfigError
from speechkit.base.log import logger
from speechkit.corpora.common import (
    Corpus,
    CorpusSet,
    Names,
    full_path,
    parse_split,
    read_gender,
    require_folder,
    split_speakers,
)
from speechkit.corpora.config import CLASS, FolderConfig
from speechkit.corpora.folder import folders, lhotse, listed, saved
from speechkit.corpora.folder.labels import choose_case, read_labels
from speechkit.corpora.folder.scores import read_raters, read_scores
from speechkit.corpora.folder.speakers import Speakers
from speechkit.labels import emotions
from speechkit.labels.config import KEEP, STOP

EMOTION = "utt2emotion"
_OF_ONE_SET = ("split", "scores", "raters", "labels")


def read_corpus(path: Path, config: FolderConfig | None = None) -> Corpus:
    """Read own data into one set, or into several: its own parts, or with different speakers.

    Args:
        path: the folder or table.
        config: what is known of it.

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
