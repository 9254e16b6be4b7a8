"""A part of a data directory: the tables of some of its utterances."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechkit.base import schema
from speechkit.base.log import counted, logger, note_once
from speechkit.base.text import composed
from speechkit.kaldi.data import DataDir, invert, read_table, write_table
from speechkit.workdir.manifest import MANIFEST

MADE_AGAIN = ("spk2utt", "skipped.tsv", MANIFEST)
HOLD_FOR_ALL = ("score_scales.json", "mixtures.json", "label_case")
_SEPARATOR = {".tsv": "\t", ".csv": ","}


@dataclass(frozen=True)
class Keys:
    """Names that a line of a table can begin with, by what they name.

    Args:
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


def label_files(folder: Path) -> list[Path]:
    """All files of a set that a part of it has too: tables, and label files of a task."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.name not in MADE_AGAIN and not path.name.startswith(".")
    )


def write_subset(source: DataDir, target: Path, utterances: Collection[str]) -> None:
    """Write the lines of some utterances, of every table and label file of a set.

    Lines are kept as they are. A table is filtered by utterance, speaker or recording,
    whichever its keys are; so are JSON objects, and TSV and CSV tables with a header. A text
    file that is keyed by none of them is copied whole. Folders and binary files are left out.
    """
    every, kept = keys(source, {u.id for u in source.utterances}), keys(source, utterances)
    for path in label_files(source.path):
        try:
            entries = Entries.read(path, every)
        except UnicodeDecodeError:
            note_once(f"subset-{path}", f"{path} is not UTF-8 text and is left out.")
            continue
        if not entries.kind and path.name not in HOLD_FOR_ALL:
            note = f"{path} names no utterance or speaker; it is copied whole."
            note_once(f"subset-{path}", note)
        if unknown := len(entries.unknown()):
            note = f"{path}: left out {counted(unknown, 'line')} of unknown {entries.kind}."
            note_once(f"subset-{path}", note)
        (target / path.name).write_text(entries.part(kept), encoding="utf-8", newline="\n")
    speakers = {u.id: u.speaker for u in source.utterances if u.id in kept.utterances}
    write_table(target / "spk2utt", invert(speakers))


@dataclass(frozen=True)
class Entries:
    """A table or JSON object of a set, as entries that each belong to a key.

    Args:
        keys: of its lines, or of the object.
        every: names that the set has.
        kind: what its keys name: ``utterances``, ``speakers``, ``recordings``; empty if
            nothing, so that the file holds for the whole set.
        header: its first line names the columns.
        loaded: the JSON object, if it is one.
    """

    text: str
    keys: tuple[str, ...]
    every: Keys
    kind: str
    header: bool = False
    loaded: dict[str, Any] | None = None

    @classmethod
    def read(cls, path: Path, every: Keys) -> Entries:
        """Read a file; UnicodeDecodeError if it is not UTF-8 text."""
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            try:
                loaded: Any = schema.parse_json(text, object, str(path))
            except schema.Damaged:
                logger.warning(f"{path} is not JSON, though it is named so.")
            else:
                found = tuple(map(composed, loaded)) if isinstance(loaded, dict) else ()
                return cls(text, found, every, every.kind(path.name, found), loaded=loaded)
        separator = _SEPARATOR.get(path.suffix)
        lines = text.removesuffix("\n").split("\n")
        found = tuple(composed((line.split(separator, 1) or [""])[0].strip()) for line in lines)
        kind = every.kind(path.name, found)
        header = bool(kind) and separator is not None and found[0] not in getattr(every, kind)
        return cls(text, found, every, kind, header)

    @property
    def certain(self) -> bool:
        """Whether at least half of the keys name something of the set.

        Fewer may do so by chance, as words that are also names of speakers.
        """
        known = sum(key in self._known for key in self.keys)
        return 2 * known >= len(self.keys) - self.header > 0

    def unknown(self) -> list[tuple[int, str]]:
        """Line number and key of every line that names something the set does not have.

        None for JSON, where such keys hold for all of the set (a version, a scale).
        """
        if not self.kind or self.loaded is not None:
            return []
        lines = list(enumerate(self.keys, 1))[self.header :]
        return [(number, key) for number, key in lines if key not in self._known]

    @property
    def _known(self) -> Collection[str]:
        """Names of the set of the kind that the keys are of; none where they are of none."""
        return getattr(self.every, self.kind) if self.kind else ()

    def form_fault(self) -> int:
        """The first line that is not in the composed form; 0 if all are."""
        lines = () if self.text.isascii() else self.text.split("\n")
        return next((n for n, line in enumerate(lines, 1) if composed(line) != line), 0)

    def dropped(self, kept: Keys) -> list[str]:
        """Keys that :meth:`part` leaves out."""
        if not self.kind:
            return []
        wanted = getattr(kept, self.kind)
        gone = [key for key in self.keys[self.header :] if key not in wanted]
        return [key for key in gone if key in self._known] if self.loaded is not None else gone

    def part(self, kept: Keys) -> str:
        """The file with what belongs to some of the names; the rest of it stays as it is."""
        gone = set(self.dropped(kept))
        if not gone:
            return self.text
        if self.loaded is not None:
            chosen = {key: value for key, value in self.loaded.items() if composed(key) not in gone}
            return json.dumps(chosen, indent=1, ensure_ascii=False) + "\n"
        lines = self.text.removesuffix("\n").split("\n")
        pairs = list(zip(self.keys, lines, strict=True))
        first, rest = pairs[: self.header], pairs[self.header :]
        return "".join(f"{line}\n" for key, line in (*first, *rest) if key not in gone)
