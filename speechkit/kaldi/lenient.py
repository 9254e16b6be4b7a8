"""Tables of a data directory read however broken they are, with what is wrong in each line.

``kaldi.data`` stops at the first broken line; ``validate`` and ``fix`` need all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from speechkit.characters import BOM, encoding_of, unmarked_encoding
from speechkit.kaldi.data import TABLES

_WHITE = " \t\r\f\v"  # what Kaldi splits at; other Unicode spaces belong to the word


@dataclass(frozen=True)
class Row:
    """One line: its number (from 1), its key, and the rest of it."""

    number: int
    key: str
    value: str


@dataclass
class Table:
    """A file of ``key value`` lines.

    Args:
        path: the file.
        rows: lines that have a key, in file order; bytes that are not UTF-8 are kept as
            surrogates, so that writing gives the same bytes back.
        faults: (kind, line, message) of what is wrong in single lines.
    """

    path: Path
    rows: list[Row] = field(default_factory=list)
    faults: list[tuple[str, int, str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.name

    def by_key(self) -> dict[str, Row]:
        """First row of every key."""
        found: dict[str, Row] = {}
        for row in self.rows:
            found.setdefault(row.key, row)
        return found


def sort_key(key: str) -> bytes:
    """Byte order, that of ``LC_ALL=C sort``."""
    return key.encode("utf-8", "surrogateescape")


def show(text: str, limit: int = 60) -> str:
    """Text as it can be printed: broken bytes escaped, long values cut."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= limit else text[: limit - 3] + "..."


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
    seen: dict[str, Row] = {}
    for number, line in enumerate(lines, 1):
        table.faults.extend((kind, number, message) for kind, message in _faults(line))
        key, _, value = _split(line)
        if not key:
            continue
        row = Row(number, key, value)
        table.rows.append(row)
        if not value:
            kind = "empty-text" if table.name == "text" else "no-value"
            table.faults.append((kind, number, f"'{show(key)}' has nothing after it"))
        if key in seen:
            first = seen[key]
            same = "the same line" if first.value == value else "another value"
            kind = "duplicate" if first.value == value else "conflict"
            message = f"'{show(key)}' comes twice: line {first.number} has {same}"
            table.faults.append((kind, number, message))
        else:
            seen[key] = row
    table.faults.extend(_unsorted(table.rows))
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


def _split(line: str) -> tuple[str, str, str]:
    line = line.strip(_WHITE)
    for at, char in enumerate(line):
        if char in _WHITE:
            return line[:at], char, line[at:].strip(_WHITE)
    return line, "", ""


def _faults(line: str) -> Iterator[tuple[str, str]]:
    if not line.strip(_WHITE):
        yield "blank-line", "the line is blank"
        return
    if line.endswith("\r"):
        yield "crlf", "the line ends in CR LF"
        line = line[:-1]
    if "\r" in line:
        yield "spaces", "there is a carriage return within the line"
    if "\t" in line:
        yield "tab", "a tab separates the fields"
    if line != line.strip(_WHITE):
        yield "spaces", "there is white space at the start or end of the line"
    try:
        line.encode("utf-8")
    except UnicodeEncodeError as error:
        byte = ord(line[error.start]) - 0xDC00
        yield "not-utf-8", f"character {error.start + 1} is the byte 0x{byte:02x}, not UTF-8"


def _unsorted(rows: list[Row]) -> list[tuple[str, int, str]]:
    wrong = [
        (before, row) for before, row in pairwise(rows) if sort_key(row.key) < sort_key(before.key)
    ]
    if not wrong:
        return []
    before, row = wrong[0]
    message = f"'{show(row.key)}' comes after '{show(before.key)}'"
    more = f" (and {len(wrong) - 1} more places)" if len(wrong) > 1 else ""
    return [("unsorted", row.number, message + more)]
