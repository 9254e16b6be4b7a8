"""docs/papers.md names files and names in them; each must be there."""

from __future__ import annotations

import importlib
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "papers.md"
ROW = re.compile(r"^\| (?P<what>[^|]+) \| `(?P<file>[a-z0-9_/]+\.py)` \| (?P<names>`[^|]+`) \|$")
MATTER = PAGE.read_text(encoding="utf-8")
ROWS = [match for line in MATTER.splitlines() if (match := ROW.match(line))]


def cited(text: str, kind: str) -> set[int]:
    """Numbers of figures, tables or equations of a paper that its part of the page names."""
    found: set[int] = set()
    for numbers in re.findall(kind + r"s?\.? ([0-9, and to]+)", text):
        for low, high in re.findall(r"(\d+)(?: to (\d+))?", numbers):
            found |= set(range(int(low), int(high or low) + 1))
    return found


def has(owner: Any, name: str) -> bool:
    """Whether a module or class has a name; fields without default are no attributes."""
    listed = {field.name for field in fields(owner)} if is_dataclass(owner) else set()
    return hasattr(owner, name) or name in listed


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['file']} {row['what']}")
def test_the_names_are_there(row: re.Match[str]) -> None:
    module = importlib.import_module(
        "speechkit." + row["file"].removesuffix(".py").replace("/", ".")
    )
    for name in re.findall(r"`([\w.]+)`", row["names"]):
        owner: Any = module
        for part in name.split("."):
            assert has(owner, part), f"{row['file']} has no {name}"
            owner = getattr(owner, part, None)


def test_every_line_of_the_tables_is_a_row() -> None:
    lines = [line for line in MATTER.splitlines() if line.startswith("| ") and "`" in line]
    assert len(lines) == len(ROWS) > 90


@pytest.mark.parametrize(
    ("title", "equations", "figures", "tables"),
    [
        ("Hard samples", 4, 2, 4),
        ("Score-balanced", 4, 5, 3),
        ("Deep feature", 3, 4, 6),
        ("Emotion", 0, 12, 0),
    ],
)
def test_nothing_is_left_out(title: str, equations: int, figures: int, tables: int) -> None:
    part = re.split("(?m)^## ", MATTER)
    text = next(section for section in part if section.startswith(title))
    for kind, count in (("Eq", equations), ("Fig", figures), ("Table", tables)):
        assert cited(text, kind) >= set(range(1, count + 1)), kind
    if title == "Emotion":
        assert all(f"Table {number}," in text for number in ("I", "II", "III"))


def test_the_files_of_the_journeys_are_there() -> None:
    """docs/architecture.md: files, and the names in brackets behind them."""
    text = (PAGE.parent / "architecture.md").read_text(encoding="utf-8")
    text = text[text.index("## Four journeys") : text.index("## Why some things")]
    cited = re.findall(r"`([a-z0-9_/]+\.py)`(?: \(((?:`[\w.]+`(?:, )?)+)\))?", text)
    assert len(cited) > 50
    missing = []
    for file, names in cited:
        if not (PAGE.parents[1] / "speechkit" / file).is_file():
            missing += (
                [file] if "/" in file and not file.startswith(("corpora/NAME", "tests/")) else []
            )
            continue
        module: Any = importlib.import_module("speechkit." + file[:-3].replace("/", "."))
        for name in re.findall(r"`([\w.]+)`", names):
            owner = module
            for part in name.split("."):
                missing += [] if has(owner, part) else [f"{file} {name}"]
                owner = getattr(owner, part, None)
    assert missing == []


def test_recipes_are_there() -> None:
    root = PAGE.parents[1]
    named = re.findall(r"`(recipes/[^`]+)`", MATTER)
    assert len(named) == 4 and all((root / name).is_file() for name in named)
