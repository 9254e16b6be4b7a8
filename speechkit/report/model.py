"""What a report page is made of, before it is HTML."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from speechkit.figures import DPI
from speechkit.text import show


@dataclass
class Table:
    """A table with a header; numbers are aligned to the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""

    def cells(self) -> list[list[tuple[str, bool]]]:
        """(text, whether it is a number) of each cell."""
        return [[(show(v), isinstance(v, int | float)) for v in row] for row in self.rows]


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
class Player:
    """A short clip with a caption."""

    audio: bytes
    mime: str
    caption: str

    @property
    def source(self) -> str:
        return f"data:{self.mime};base64," + base64.b64encode(self.audio).decode()


@dataclass
class Section:
    """A heading with paragraphs, tables, pictures and players, shown in this order."""

    title: str
    text: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    players: list[Player] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        return "".join(c if c.isalnum() else "-" for c in self.title.lower())
