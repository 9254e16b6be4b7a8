"""What a report page is made of, before it is HTML."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from speechkit.base.figures import DPI
from speechkit.base.tables import show


@dataclass
class Player:
    """A short clip with a caption."""

    audio: bytes
    mime: str
    caption: str

    @property
    def source(self) -> str:
        return f"data:{self.mime};base64," + base64.b64encode(self.audio).decode()


@dataclass(frozen=True)
class Cell:
    """A cell of a table with more than a plain value.

    Args:
        text: what it says.
        number: align it to the right.
        strong: make it stand out.
        under: smaller lines below the text.
        more: long text that unfolds below.
        player: a clip in place of the text.
    """

    text: str
    number: bool = False
    strong: bool = False
    under: Sequence[str] = ()
    more: str = ""
    player: Player | None = None


@dataclass
class Table:
    """A table with a header; numbers are aligned to the right.

    Args:
        columns: titles.
        rows: values, or :class:`Cell`.
        caption: shown below it.
        groups: (title, number of columns) of a header above the header.
        dense: smaller, for many columns.
        title: shown above it.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    groups: Sequence[tuple[str, int]] = ()
    dense: bool = False
    title: str = ""

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], caption: str = "", **more: Any) -> Table:
        """A table of rows that name their columns, at least one.

        Args:
            rows: title of a column -> value; the same titles in all.
            caption: shown below it.
            more: other fields.
        """
        return cls(list(rows[0]), [list(row.values()) for row in rows], caption, **more)

    def cells(self) -> list[list[Cell]]:
        """All rows as cells."""
        return [[_cell(value) for value in row] for row in self.rows]

    def numeric(self) -> list[bool]:
        """Of each column, whether it holds a number."""
        rows = self.cells()
        return [any(row[i].number for row in rows) for i in range(len(self.columns))]


def _cell(value: Any) -> Cell:
    if isinstance(value, Cell):
        return value
    return Cell(show(value), isinstance(value, int | float))


@dataclass
class Picture:
    """A PNG with a caption and a text for readers who cannot see it."""

    png: bytes
    caption: str
    alt: str

    @property
    def source(self) -> str:
        return "data:image/png;base64," + base64.b64encode(self.png).decode()

    @property
    def width(self) -> int:
        """Width in CSS pixels, so that letters have one size in all figures."""
        return round(int.from_bytes(self.png[16:20], "big") * 96 / DPI)


@dataclass
class Section:
    """A heading with paragraphs, tables, pictures and players, shown in this order; its findings,
    a sentence each, open the page."""

    title: str
    text: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    players: list[Player] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        return "".join(c if c.isalnum() else "-" for c in self.title.lower())
