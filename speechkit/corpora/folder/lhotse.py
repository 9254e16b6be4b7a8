"""Manifests of lhotse: recordings and supervisions, a JSON object a line. lhotse is not needed.

A supervision is a part of a recording (``start``, ``duration``, ``channel``) with its speaker and
text. Where every supervision is a whole recording the set has no ``segments``. One channel of a
file that has several is written into the set.
"""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from speechkit.base.audio import AudioFile
from speechkit.base.audio_container import WavWriter
from speechkit.base.errors import AudioError, DataError, UserError
from speechkit.base.log import counted, logger
from speechkit.base.schema import Finite, Rate, check, json_lines
from speechkit.corpora.common import CorpusSet, Item, Names, full_path
from speechkit.corpora.folder import tables
from speechkit.corpora.folder.listed import add
from speechkit.corpora.folder.speakers import Speakers
from speechkit.kaldi.segments import END_TOLERANCE_S, Segment

RECORDINGS, SUPERVISIONS = "recordings", "supervisions"
ENDINGS = (".jsonl", ".jsonl.gz")
LAYOUT = "lhotse's manifests, as NAME_recordings_PART.jsonl.gz and NAME_supervisions_PART.jsonl.gz."
_BLOCK = 1 << 16


class Source(Struct):
    """Where some channels of a recording lie."""

    type: str
    channels: list[int]
    source: str


class Recording(Struct):
    """A recording: its channels are in one file, or in one each."""

    id: str
    sources: list[Source]
    sampling_rate: Rate
    duration: Finite
    transforms: list[Any] | None = None


class Supervision(Struct):
    """A part of a recording, and what is said in it."""

    id: str
    recording_id: str
    start: Finite
    duration: Finite
    channel: int | list[int] = 0
    text: str | None = None
    speaker: str | None = None
    gender: str | None = None
    custom: dict[str, Any] | None = None


def is_manifest(path: Path) -> bool:
    """Whether a file is called like a manifest of lhotse."""
    name = path.name.lower()
    kinds = (RECORDINGS, SUPERVISIONS, "cuts")
    return path.is_file() and name.endswith(ENDINGS) and any(kind in name for kind in kinds)


def manifests(path: Path) -> tuple[Path, Path] | None:
    """Recordings and supervisions at a path; None where there are none.

    Args:
        path: one of the two, or a folder that holds both, of one part.

    Raises:
        UserError: one of them is missing, there are several parts, or it is one of cuts.
    """
    if path.is_file():
        if not is_manifest(path):
            return None
        if "cuts" in path.name.lower():
            raise UserError(f"{path} is a manifest of cuts.", f"Expected: {LAYOUT}")
        pair = (_other(path, RECORDINGS), _other(path, SUPERVISIONS))
        for one in pair:
            if not one.is_file():
                raise UserError(f"{one} is not there.", f"Expected: {LAYOUT}")
        return pair
    found = sorted(p for p in path.iterdir() if is_manifest(p) and SUPERVISIONS in p.name.lower())
    if len(found) > 1:
        raise UserError(
            f"{path} has several manifests: {', '.join(p.name for p in found)}.",
            "Give one of these files instead of the folder.",
        )
    return manifests(found[0]) if found else None


def _other(path: Path, kind: str) -> Path:
    """The path of one of the two manifests, given either."""
    for name in (RECORDINGS, SUPERVISIONS):
        head, found, tail = path.name.rpartition(name)
        if found:
            return path.with_name(f"{head}{kind}{tail}")
    return path


def read_manifests(
    recordings: Path, supervisions: Path, names: Names, speakers: Speakers
) -> CorpusSet:
    """One set of the supervisions of two manifests.

    Raises:
        UserError: a line that does not fit, with its number; audio that is no file.
    """
    known: dict[str, Recording] = {}
    for number, data in json_lines(recordings, f"Expected: {LAYOUT}"):
        where = f"{recordings}:{number}"
        one = check(data, Recording, where)
        if known.setdefault(one.id, one) is not one:
            raise UserError(
                f"{where}: the recording '{one.id}' comes twice.", "Remove one of them."
            )
        _check_recording(one, where)
    parts: list[tuple[str, Supervision]] = []
    for number, data in json_lines(supervisions, f"Expected: {LAYOUT}"):
        where = f"{supervisions}:{number}"
        part = check(data, Supervision, where)
        if part.recording_id not in known:
            raise UserError(
                f"{where}: there is no recording '{part.recording_id}' in {recordings.name}.",
                "Take both manifests of one part.",
            )
        if part.start < 0 or part.duration <= 0:
            raise UserError(f"{where}: starts at {part.start} s and lasts {part.duration} s.")
        parts.append((where, part))
    if not parts:
        raise UserError(f"{supervisions} names no utterances.", f"Expected: {LAYOUT}")
    names.speakers(sorted({part.speaker for _, part in parts if part.speaker}))
    used = Counter(part.recording_id for _, part in parts)
    cut = max(used.values()) > 1 or any(
        part.start > 0 or abs(part.duration - known[part.recording_id].duration) > END_TOLERANCE_S
        for _, part in parts
    )
    whole = CorpusSet("", [])
    for where, part in parts:
        item = _item(part, known[part.recording_id], recordings.parent, cut, speakers, names, where)
        add(whole, item, _row(part, where), where)
    if left := len(known) - len(used):
        logger.warning(f"{recordings}: left out {counted(left, 'recording')} without supervision.")
    return whole


def _check_recording(one: Recording, where: str) -> None:
    if one.transforms:
        raise UserError(
            f"{where}: the recording '{one.id}' is changed when it is read ('transforms').",
            "Save its audio (save_audios), and give the manifests of that.",
        )
    for source in one.sources:
        if source.type != "file":
            raise UserError(
                f"{where}: the audio of '{one.id}' is of the type '{source.type}'.",
                "Accepted: file. No command is run and nothing fetched: save the audio first.",
            )


def _row(part: Supervision, where: str) -> dict[str, str]:
    """What a supervision says, by the names of columns."""
    row = {"text": part.text or "", "gender": part.gender or ""}
    for key, value in (part.custom or {}).items():
        name = tables.OTHER_NAMES.get(key.lower(), key.lower())
        if name in (*tables.LABELS, "age") and value is not None:
            if isinstance(value, list | dict | bool):
                raise DataError(f"{where}: custom.{key} is no text and no number.")
            row[name] = str(value)
    return row


def _item(
    part: Supervision,
    of: Recording,
    folder: Path,
    cut: bool,
    speakers: Speakers,
    names: Names,
    where: str,
) -> Item:
    """A supervision as an utterance, and how its audio is had."""
    wanted = sorted({part.channel} if isinstance(part.channel, int) else set(part.channel))
    all_ = sorted(channel for source in of.sources for channel in source.channels)
    source = next((one for one in of.sources if set(wanted) <= set(one.channels)), None)
    if source is None or not wanted or (len(wanted) > 1 and wanted != sorted(source.channels)):
        raise UserError(
            f"{where}: the channels {wanted} of '{of.id}' are not to be had from one file.",
            f"Accepted: one of {all_}, or all channels of a file.",
        )
    # os.path.join, as for an absolute path it drops the folder in front
    file = full_path(Path(os.path.join(folder, source.source)))  # noqa: PTH118
    if not file.exists() and (here := full_path(Path(source.source))).exists():
        file = here  # lhotse's own way: from the folder that one works in
    utterance, speaker = speakers.place(Path(source.source), part.speaker or "", part.id)
    one = len(wanted) == 1 and len(source.channels) > 1
    name = names.clean(of.id) + (f"-{wanted[0]}" if len(wanted) == 1 and len(all_) > 1 else "")
    segment = Segment(name, part.start, part.start + part.duration) if cut else None
    place = sorted(source.channels).index(wanted[0])
    make = partial(_write_channel, file, place) if one else None
    return Item(utterance, file, speaker, make=make, segment=segment)


def _write_channel(file: Path, place: int, target: Path) -> Path:
    """Write one channel of a file as 16-bit WAV."""
    with AudioFile(file) as source, target.open("wb") as out, WavWriter(out, source.rate) as made:
        if place >= source.channels:
            raise AudioError(
                f"{file}: number {place} of {counted(source.channels, 'channel')}, counted from 0.",
                "Correct the manifest.",
            )
        while len(block := source.read(_BLOCK)):
            made.write(block[:, place])
    return target
