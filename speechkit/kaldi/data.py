"""Kaldi data directories: read, write, sort.

A data directory (a *set*) holds ``wav.scp``, ``utt2spk`` and optionally ``segments``,
``text``, ``spk2utt``, ``utt2dur``, ``spk2gender``, and label files of a task: lines of
``key value...``, UTF-8, sorted by key in byte order (C locale).
Relative audio paths are relative to the working directory. Everything but paths is read in one
Unicode form (see :mod:`speechkit.base.text`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from speechkit.base import audio
from speechkit.base.audio_file import Pipe
from speechkit.base.errors import AudioError, DataError
from speechkit.base.log import counted
from speechkit.base.parallel import map_items
from speechkit.base.tables import grouped
from speechkit.base.text import byte_order, check_path, composed, on_disk, read_text, some, visible
from speechkit.kaldi.segments import Segment, SegmentError

_POOL_FROM = 500  # fewer files are read sooner than workers would start
TABLES = ("wav.scp", "segments", "text", "utt2spk", "spk2utt", "utt2dur", "spk2gender", "spk2age")
_SEE = "`speechkit validate` lists every problem of a set, `fix` mends what can be mended."


@dataclass(frozen=True)
class Utterance:
    """One utterance: the part of a recording that it takes, and who speaks.

    Args:
        wav: audio path, or a shell command (only where pipes are allowed).
        start: first second of the segment in the recording.
        end: last second of the segment, or None for the recording's end.
    """

    id: str
    wav: str | Pipe
    speaker: str
    start: float = 0.0
    end: float | None = None


@dataclass
class DataDir:
    """A set in memory.

    Args:
        utterances: in file order.
        gender: speaker -> ``m`` or ``f``.
        age: speaker -> years.
        durations: utterance -> seconds, where ``utt2dur`` is present.
    """

    path: Path
    utterances: list[Utterance]
    text: dict[str, str] = field(default_factory=dict)
    gender: dict[str, str] = field(default_factory=dict)
    age: dict[str, str] = field(default_factory=dict)
    durations: dict[str, float] = field(default_factory=dict)

    @property
    def speakers(self) -> list[str]:
        """Speaker ids, sorted."""
        return sorted({utterance.speaker for utterance in self.utterances})

    def files(self) -> list[Path]:
        """The tables that are present (the inputs of a stage that reads the set)."""
        return [p for name in TABLES if (p := self.path / name).is_file()]

    def audio_files(self) -> list[Path]:
        """Audio files of the set, without pipes."""
        return sorted({Path(u.wav) for u in self.utterances if not isinstance(u.wav, Pipe)})


def read_table(path: Path, remedy: str = _SEE, optional: bool = False) -> dict[str, str]:
    """Key -> rest of the line.

    Args:
        remedy: what to do about a broken line, for the message.
        optional: the table is empty where there is no such file.

    Raises:
        DataError: not UTF-8, an empty line, a key that comes twice, or a line without a
            value (``text`` alone may have empty values, and is read as it looks).
    """
    table: dict[str, str] = {}
    if optional and not path.is_file():
        return table
    lines = read_text(path).removesuffix("\n").split("\n")
    for number, line in enumerate(lines if lines != [""] else [], 1):
        key, *rest = line.split(maxsplit=1)[:2] or [""]
        value = rest[0].strip() if rest else ""
        key = composed(key)
        if not key or not (value or path.name == "text"):
            raise DataError(f"{path}:{number}: expected 'key value', found '{line}'.", remedy)
        if key in table:
            raise DataError(f"{path}:{number}: the key '{key}' comes twice.", remedy)
        if path.suffix != ".scp":
            value = composed(visible(value) if path.name == "text" else value)
        table[key] = value
    return table


def load(path: Path, root: Path, allow_pipes: bool = False) -> DataDir:
    """Read a data directory.

    Args:
        allow_pipes: accept shell commands in ``wav.scp``.

    Raises:
        DataError: a table is missing or broken, tables disagree, ``wav.scp`` has a pipe.
    """
    for name in ("wav.scp", "utt2spk"):
        if not (path / name).is_file():
            raise DataError(f"{path} has no {name}.", "It is not a Kaldi data directory.")
    wavs = read_table(path / "wav.scp")
    speakers = read_table(path / "utt2spk")
    if not wavs or not speakers:
        raise DataError(f"{path} has no utterances (wav.scp or utt2spk is empty).", _SEE)
    sources = {key: parse_source(wav, root) for key, wav in wavs.items()}
    for key, source in sources.items():
        if isinstance(source, Pipe) and not allow_pipes:
            raise DataError(
                f"{path / 'wav.scp'}: '{key}' is a pipe, which would run a shell command.",
                "Convert the audio to files, or, if you trust this file, give `allow_pipes` to "
                "a stage that has it.",
            )
        if isinstance(source, str) and (problem := check_path(source)):
            raise DataError(f"{path / 'wav.scp'}: '{key}' has no possible path: {problem}.", _SEE)
    parts = _segments(path, sources)
    _agree(path, set(parts), set(speakers))
    utterances = [Utterance(utt, wav, speakers[utt], a, b) for utt, (wav, a, b) in parts.items()]
    names = ("text", "spk2gender", "spk2age", "utt2dur")
    text, gender, age, seconds = (read_table(path / name, optional=True) for name in names)
    return DataDir(path, utterances, text, gender, age, _durations(path / "utt2dur", seconds))


def parse_source(value: str, root: Path) -> str | Pipe:
    """Where the audio of a line of ``wav.scp`` is: a path below ``root``, or a pipe."""
    if value.endswith("|"):
        return Pipe(value[:-1].rstrip())
    return str(root / value if value.isascii() else on_disk(root / value))


def check_scp_path(path: str) -> None:
    """Raise DataError if a path, written to ``wav.scp``, would be read as something else."""
    if path != path.strip() or path.endswith("|") or len(path.splitlines()) != 1:
        raise DataError(
            f"The path {path!r} cannot stand in wav.scp.",
            "Rename it: no line breaks, no spaces at its ends, no '|' at its end.",
        )


def _durations(file: Path, table: Mapping[str, str]) -> dict[str, float]:
    try:
        return {key: float(value) for key, value in table.items()}
    except ValueError as error:
        raise DataError(f"{file}: expected 'utterance seconds' ({error}).", _SEE) from None


def _segments(
    path: Path, wavs: Mapping[str, str | Pipe]
) -> dict[str, tuple[str | Pipe, float, float | None]]:
    """Utterance -> (audio, start, end)."""
    file = path / "segments"
    if not file.is_file():
        return {key: (wav, 0.0, None) for key, wav in wavs.items()}
    parts: dict[str, tuple[str | Pipe, float, float | None]] = {}
    for number, (utterance, value) in enumerate(read_table(file).items(), 1):
        try:
            part = Segment.parse(value)
        except SegmentError as error:
            raise DataError(f"{file}:{number}: '{utterance} {value}': {error}.", _SEE) from None
        if part.recording not in wavs:
            message = f"{file}:{number}: recording '{part.recording}' is not in wav.scp."
            raise DataError(message, _SEE)
        parts[utterance] = (wavs[part.recording], part.start, part.end)
    return parts


def _agree(path: Path, audio: set[str], speakers: set[str]) -> None:
    """Raise DataError unless audio and utt2spk name the same utterances."""
    where = "segments" if (path / "segments").is_file() else "wav.scp"
    for missing, there, not_there in (
        (speakers - audio, "utt2spk", where),
        (audio - speakers, where, "utt2spk"),
    ):
        if missing:
            raise DataError(
                f"{path}: {counted(len(missing), 'utterance is', 'utterances are')} in {there} "
                f"but not in {not_there} ({some(sorted(missing))}).",
                _SEE,
            )


def write_table(path: Path, table: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
    """Write ``key value`` lines sorted by key in byte order.

    Raises:
        DataError: a key is empty or holds white space, or a value holds a line break.
    """
    rows = table.items() if isinstance(table, Mapping) else table
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for key, value in sorted(rows, key=lambda row: byte_order(row[0])):
            if key.split() != [key] or "\n" in value or "\r" in value:
                raise DataError(
                    f"{path}: '{key}' with the value '{value}' cannot be a line of a Kaldi table.",
                    "Keys must be without white space, values without line breaks.",
                )
            file.write(f"{key} {value}".rstrip() + "\n")


def write(
    folder: Path,
    wavs: Mapping[str, str | Pipe],
    speakers: Mapping[str, str],
    **tables: Mapping[str, str],
) -> None:
    """Write a data directory: sorted tables, with ``spk2utt`` made from ``utt2spk``.

    Args:
        wavs: utterance -> audio path.
        tables: further tables by name (``text``, ``spk2gender``, ``segments``, ...);
            empty ones are left out.

    Raises:
        DataError: a path or key that cannot stand in its table.
    """
    for wav in wavs.values():
        if not isinstance(wav, Pipe):
            check_scp_path(wav)
    write_table(folder / "wav.scp", {key: str(wav) for key, wav in wavs.items()})
    write_table(folder / "utt2spk", speakers)
    write_table(folder / "spk2utt", invert(speakers))
    for name, table in tables.items():
        if table:
            write_table(folder / name, table)


def order_clashes(speakers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Neighbours in utterance order whose speakers are not in speaker order.

    Kaldi's tools expect both orders to agree, which ids that begin with the speaker ensure.
    """
    ordered = sorted(speakers, key=byte_order)
    return [
        (before, after)
        for before, after in pairwise(ordered)
        if byte_order(speakers[before]) > byte_order(speakers[after])
    ]


def invert(speakers: Mapping[str, str]) -> dict[str, str]:
    """``utt2spk`` -> ``spk2utt``."""
    found = grouped(sorted(speakers, key=byte_order), speakers.__getitem__)
    return {speaker: " ".join(utterances) for speaker, utterances in found.items()}


def same_audio(
    utterances: Sequence[Utterance], jobs: int = 1, label: str = ""
) -> tuple[tuple[str, ...], ...]:
    """Groups of two ids or more whose audio is the same, sample by sample.

    Utterances that cannot be read, which other stages name, are in no group; pipes are not run.
    """
    files = [u for u in utterances if not isinstance(u.wav, Pipe)]
    same: dict[str, list[str]] = {}
    jobs = jobs if len(files) >= _POOL_FROM else 1
    for done in map_items(_digest, files, jobs=jobs, chunk=64, name=lambda u: u.id, label=label):
        if done.value is not None:
            same.setdefault(done.value, []).append(done.item.id)
    return tuple(tuple(sorted(ids)) for ids in same.values() if len(ids) > 1)


def _digest(utterance: Utterance) -> str | None:
    """SHA-256 of the decoded samples (channels averaged) and their rate."""
    try:
        samples, rate = audio.read(utterance.wav, start=utterance.start, end=utterance.end)
    except AudioError:
        return None
    found = hashlib.sha256(f"{rate}\n".encode())
    found.update(samples.astype("<f4", copy=False).tobytes())
    return found.hexdigest()
