"""A part of a data directory: the tables of some of its utterances."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from speechkit.kaldi.data import DataDir, invert, read_table, write_table
from speechkit.log import logger, note_once
from speechkit.manifest import MANIFEST

MADE_AGAIN = ("spk2utt", "skipped.tsv", MANIFEST)
_SEPARATOR = {".tsv": "\t", ".csv": ","}


@dataclass(frozen=True)
class Keys:
    """Names that a line of a table can begin with, by what they name.

    Args:
        utterances: utterance ids.
        speakers: speaker ids.
        recordings: keys of ``wav.scp`` (the utterances, where there are no segments).
    """

    utterances: frozenset[str]
    speakers: frozenset[str]
    recordings: frozenset[str]

    def kind(self, table: str, found: Collection[str]) -> str:
        """Which kind of name the keys of a table are; empty if none."""
        if table.startswith("spk2"):
            return "speakers"
        if table == "wav.scp" or table.startswith("reco2"):
            return "recordings"
        kinds = ("utterances", "speakers", "recordings")
        best = max(kinds, key=lambda kind: sum(key in getattr(self, kind) for key in found))
        return best if any(key in getattr(self, best) for key in found) else ""


def keys(source: DataDir, utterances: Collection[str]) -> Keys:
    """Keys of the lines that belong to some utterances of a set."""
    kept = [u for u in source.utterances if u.id in utterances]
    segments = source.path / "segments"
    recordings = {u.id for u in kept}
    if segments.is_file():
        recordings = {read_table(segments)[name].split()[0] for name in recordings}
    return Keys(
        frozenset(u.id for u in kept), frozenset(u.speaker for u in kept), frozenset(recordings)
    )


def label_files(source: DataDir) -> list[Path]:
    """All files of a set that a part of it has too: tables, and label files of a task."""
    return sorted(
        path
        for path in source.path.iterdir()
        if path.is_file() and path.name not in MADE_AGAIN and not path.name.startswith(".")
    )


def write_subset(source: DataDir, target: Path, utterances: Collection[str]) -> None:
    """Write the lines of some utterances, of every table and label file of a set.

    Lines are kept as they are. A table is filtered by utterance, speaker or recording,
    whichever its keys are; so are JSON objects, and TSV and CSV tables with a header. A text
    file that is keyed by none of them is copied whole. Folders and binary files are left out.

    Args:
        source: the set.
        target: an existing folder.
        utterances: ids of what is kept.
    """
    every, kept = keys(source, {u.id for u in source.utterances}), keys(source, utterances)
    for path in label_files(source):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            note_once(f"subset-{path}", f"{path} is not UTF-8 text and is left out.")
            continue
        part = _json(path, text, every, kept) if path.suffix == ".json" else None
        if part is None:
            part = _lines(path, text, every, kept)
        (target / path.name).write_text(part, encoding="utf-8", newline="\n")
    speakers = {u.id: u.speaker for u in source.utterances if u.id in kept.utterances}
    write_table(target / "spk2utt", invert(speakers))


def _lines(path: Path, text: str, every: Keys, kept: Keys) -> str:
    """The lines of a text table that are kept."""
    separator = _SEPARATOR.get(path.suffix)
    lines = text.removesuffix("\n").split("\n")
    found = [(line.split(separator, 1) or [""])[0].strip() for line in lines]
    kind = every.kind(path.name, found)
    if not kind:
        note_once(f"subset-{path}", f"{path} names no utterance or speaker; it is copied whole.")
        return text
    known, wanted = getattr(every, kind), getattr(kept, kind)
    header = separator is not None and found[0] not in known
    chosen = [
        line
        for number, (key, line) in enumerate(zip(found, lines, strict=True))
        if key in wanted or (header and number == 0)
    ]
    unknown = sum(key not in known for key in found) - header
    if unknown:
        note_once(f"subset-{path}", f"{path}: {unknown} lines of unknown {kind} are left out.")
    return "".join(f"{line}\n" for line in chosen)


def _json(path: Path, text: str, every: Keys, kept: Keys) -> str | None:
    """A JSON object with the keys that are kept; None if it is not one, or keyed otherwise."""
    try:
        loaded = json.loads(text)
    except ValueError:
        logger.warning(f"{path} is not JSON, though it is named so.")
        return None
    kind = every.kind(path.name, list(loaded)) if isinstance(loaded, dict) else ""
    if not kind:
        note_once(f"subset-{path}", f"{path} names no utterance or speaker; it is copied whole.")
        return text
    known, wanted = getattr(every, kind), getattr(kept, kind)
    # Keys that name nothing of the set hold for all of it (a version, a scale).
    part = {key: value for key, value in loaded.items() if key in wanted or key not in known}
    return json.dumps(part, indent=1, ensure_ascii=False) + "\n"
