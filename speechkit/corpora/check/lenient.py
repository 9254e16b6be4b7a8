"""A data directory read however broken it is: its tables, texts and recordings.

``kaldi.data`` stops at the first broken line; ``validate`` and ``fix`` need all of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

from speechkit.base import audio
from speechkit.base.errors import AudioError
from speechkit.base.parallel import map_items
from speechkit.base.resampler import check_rates
from speechkit.base.text import (
    BOM,
    byte_order,
    composed,
    encoding_of,
    find_marks,
    spelled,
    unmarked_encoding,
    visible,
)
from speechkit.kaldi.data import TABLES, parse_source
from speechkit.kaldi.subset import Keys

_WHITE = " \t\r\f\v"  # what Kaldi splits at; other Unicode spaces belong to the word
_SPACE = re.compile(f"[{_WHITE}]+")
_AUDIO_KINDS = {"missing", "empty", "cut", "nan"}


@dataclass(frozen=True)
class TableRow:
    """One line: its number (from 1), its key, and the rest of it, both in the composed form.

    (Only paths keep the form that they have.)
    """

    number: int
    key: str
    value: str


@dataclass
class Table:
    """A file of ``key value`` lines.

    Args:
        rows: lines that have a key, in file order; bytes that are not UTF-8 are kept as
            surrogates, so that writing gives the same bytes back.
        faults: (kind, line, message) of what is wrong in single lines.
    """

    path: Path
    rows: list[TableRow] = field(default_factory=list)
    faults: list[tuple[str, int, str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.name

    def by_key(self) -> dict[str, TableRow]:
        """First row of every key."""
        found: dict[str, TableRow] = {}
        for row in self.rows:
            found.setdefault(row.key, row)
        return found


def show(text: str, limit: int = 60) -> str:
    """Text as it can be printed: broken bytes escaped, long values cut."""
    text = printable(text)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def printable(text: str) -> str:
    """Text with broken bytes escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def table_names(folder: Path) -> list[str]:
    """Names of the tables in a data directory: Kaldi's, and further ``utt2*``, ``spk2*``."""
    extra = {p.name for stem in ("utt2*", "spk2*") for p in folder.glob(stem) if p.is_file()}
    known = [name for name in TABLES if (folder / name).is_file()]
    return [*known, *sorted(extra - set(known))]


def read(path: Path) -> Table:
    """Read a table, whatever is in it."""
    table = Table(path)
    text = _decoded(path.read_bytes(), table)
    if not text:
        table.faults.append(("empty-file", 1, "the file is empty"))
        return table
    if text.startswith(BOM):
        table.faults.append(("bom", 1, "the file starts with a byte order mark"))
        text = text[1:]
    if BOM in text:  # of files that were put together
        where = text[: text.index(BOM)].count("\n") + 1
        table.faults.append(("bom", where, "a byte order mark lies within the file"))
        text = text.replace(BOM, "")
    lines = text.split("\n")
    if lines[-1] == "":
        del lines[-1]
    else:
        table.faults.append(("no-newline", len(lines), "the last line has no line end"))
    seen: dict[str, tuple[TableRow, str]] = {}
    forms, order = _Forms(), list[tuple[int, str]]()
    for number, line in enumerate(lines, 1):
        table.faults.extend((kind, number, message) for kind, message in _faults(line))
        given, value = [*_SPACE.split(line.strip(_WHITE), maxsplit=1), ""][:2]
        if not given:
            continue
        is_path = path.suffix == ".scp"
        row = TableRow(number, composed(given), value if is_path else composed(value))
        table.rows.append(row)
        order.append((number, given))
        names = [given] if is_path or line.isascii() else [given, *value.split()]
        if faults := [*filter(None, (forms.fault(name, number) for name in names))]:
            table.faults.append(("form", number, "; ".join(faults[:2])))
        if not value:
            kind = "empty-text" if table.name == "text" else "no-value"
            table.faults.append((kind, number, f"'{show(given)}' has nothing after it"))
        before = seen.setdefault(row.key, (row, given))
        if before[0] is not row:
            table.faults.append(_twice(*before, row, given))
    table.faults.extend(_unsorted(order))
    return table


def _decoded(content: bytes, table: Table) -> str:
    """The text, with bytes that are not UTF-8 as surrogates."""
    marked = encoding_of(content)
    encoding = unmarked_encoding(content) if marked == "UTF-8" else marked
    if encoding:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            pass  # told line by line
        else:
            table.faults.append(("utf-16", 1, f"the file is {encoding}, not UTF-8"))
            return text
    return content.decode("utf-8", "surrogateescape")


def _twice(first: TableRow, first_given: str, row: TableRow, given: str) -> tuple[str, int, str]:
    """What is wrong with a key that another line has, in its form or in another one."""
    same = first.value == row.value
    what = "the same line" if same else "another value"
    if given == first_given:
        message = f"'{show(given)}' comes twice: line {first.number} has {what}"
        return "duplicate" if same else "conflict", row.number, message
    message = (
        f"'{show(spelled(given))}' and '{show(spelled(first_given))}' of line {first.number} are "
        f"one name, with {what}"
    )
    return "duplicate" if same else "one-name", row.number, message


class _Forms:
    """The forms of the names in a table."""

    def __init__(self) -> None:
        self.first: dict[str, tuple[str, int]] = {}

    def fault(self, name: str, line: int) -> str:
        """What is wrong with the form of a name; empty if nothing is."""
        if name.isascii():
            return ""
        one = composed(name)
        before, number = self.first.setdefault(one, (name, line))
        if before != name:
            both = f"'{show(spelled(name))}' and '{show(spelled(before))}' of line {number}"
            return f"{both} are one name in two forms"
        return "" if one == name else f"'{show(spelled(name))}' is not in the composed form"


def _faults(line: str) -> Iterator[tuple[str, str]]:
    if not line.strip(_WHITE):
        yield "blank-line", "the line is blank"
        return
    if line.endswith("\r"):
        yield "crlf", "the line ends in CR LF"
        line = line[:-1]
    if "\r" in line:
        yield "crlf", "there is a carriage return within the line, where stages end it"
    if "\t" in line:
        yield "tab", "a tab separates the fields"
    if line != line.strip(_WHITE):
        yield "spaces", "there is white space at the start or end of the line"
    try:
        line.encode("utf-8")
    except UnicodeEncodeError as error:
        byte = ord(line[error.start]) - 0xDC00
        yield "not-utf-8", f"character {error.start + 1} is the byte 0x{byte:02x}, not UTF-8"


def _unsorted(keys: list[tuple[int, str]]) -> list[tuple[str, int, str]]:
    """What is wrong with the order of keys, which are given with their lines."""
    wrong = [
        (before, key, number)
        for (_, before), (number, key) in pairwise(keys)
        if byte_order(key) < byte_order(before)
    ]
    if not wrong:
        return []
    before, key, number = wrong[0]
    more = f" (and {len(wrong) - 1} more places)" if len(wrong) > 1 else ""
    return [("unsorted", number, f"'{show(key)}' comes after '{show(before)}'{more}")]


def keys_of(tables: Mapping[str, Collection[TableRow]]) -> Keys:
    """Names of utterances, speakers and recordings in some tables."""
    speaker_of, wavs = tables.get("utt2spk", ()), tables.get("wav.scp", ())
    heard = tables.get("segments", wavs)
    return Keys(
        frozenset(row.key for row in (*heard, *speaker_of)),
        frozenset(row.value for row in speaker_of),
        frozenset(row.key for row in wavs),
    )


def text_faults(rows: Mapping[str, TableRow]) -> Iterator[tuple[str, int, str]]:
    """(kind of problem, line, message) of marks like ``[noise]`` and of invisible characters."""
    for key, row in rows.items():
        if marks := find_marks(row.value):
            some = ", ".join(map(show, dict.fromkeys(marks)))
            yield "markup", row.number, f"'{show(key)}' has marks that are not words: {some}"
        if (seen := visible(row.value)) != row.value:
            odd = sorted({f"U+{ord(c):04X}" for c in row.value if visible(c) != c})
            yield "invisible", row.number, f"'{show(key)}' has {', '.join(odd)} in '{show(seen)}'"


@dataclass(frozen=True)
class AudioFacts:
    """What was found out about a recording: its header, or why it cannot be used."""

    info: audio.Info | None
    kind: str = ""
    reason: str = ""
    opposite_phase: bool = False


def look_at(
    rows: Iterable[TableRow], root: Path, decode: bool, allow_pipes: bool, jobs: int
) -> dict[str, AudioFacts]:
    """Recording -> what its audio is like; every file is opened once, in parallel."""
    every = {row.key: parse_source(row.value, root) for row in rows}
    source = {
        key: value
        for key, value in every.items()
        if not isinstance(value, audio.Pipe) or (allow_pipes and decode)
    }
    items = sorted(set(source.values()), key=str)
    # A header takes some 0.1 ms, a new process half a second.
    jobs = jobs if decode or len(items) > 5000 else 1
    label = "reading audio" if decode else "reading audio headers"
    facts = {
        done.item: done.value
        for done in map_items(
            partial(_facts, decode=decode), items, jobs=jobs, chunk=64, label=label, unit="file"
        )
        if done.value is not None
    }
    return {key: facts[value] for key, value in source.items() if value in facts}


def _facts(path: str | audio.Pipe, decode: bool) -> AudioFacts:
    try:
        if isinstance(path, audio.Pipe):
            samples, rate = audio.read(path)
            return AudioFacts(audio.Info(rate, len(samples), 1))
        info = audio.info(path)
        check_rates(info.sample_rate)
        if decode:
            audio.read(path)
        opposite = decode and info.channels > 1 and audio.channel_of_path(Path(path)) is not None
        return AudioFacts(info, opposite_phase=opposite)
    except AudioError as error:
        kind = error.kind if error.kind in _AUDIO_KINDS else "unreadable"
        return AudioFacts(None, f"{kind}-audio", error.problem.rstrip("."))
