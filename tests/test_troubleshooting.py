"""docs/troubleshooting.md: each message is one that the package says, word for word."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import speechkit

PAGE = Path(__file__).parents[1] / "docs" / "troubleshooting.md"
LEAST = 12  # characters of a text between its values: fewer say nothing
PLACE = r"(?: \([^()]+\)\.)?"  # what the machine lacks, and where
BEFORE = re.compile(r"\S+: |--\S+ |")  # a recording, a flag
HEADINGS = re.findall(r"^### (.+)$", PAGE.read_text("utf-8"), re.MULTILINE)
MESSAGES = re.findall(r"^> (.+)$", PAGE.read_text("utf-8"), re.MULTILINE)


def flags(text: str) -> str:
    """As the command line prints settings: `` `on_error` `` is ``--on-error``."""
    return re.sub(r"`([a-z][a-z0-9_]*)`", lambda one: f"--{one[1].replace('_', '-')}", text)


@cache
def texts() -> list[tuple[str, re.Pattern[str]]]:
    """Texts in the package, as their longest fixed piece and a pattern with room for values."""
    found: set[tuple[str, ...]] = set()
    for path in sorted(Path(speechkit.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add((node.value,))
            if isinstance(node, ast.JoinedStr):
                parts = (p.value if isinstance(p, ast.Constant) else "\0" for p in node.values)
                found.add(tuple(flags("".join(map(str, parts))).split("\0")))
    return [
        (max(parts, key=len), re.compile(".*?".join(map(re.escape, parts)) + PLACE))
        for parts in (tuple(flags(part) for part in one) for one in found)
        if len(max(parts, key=len)) >= LEAST
    ]


def is_said(message: str) -> bool:
    """Whether a message is one text of the package after another, with values put in."""
    known = [pattern for piece, pattern in texts() if piece in message]
    ends = [one.end() for one in re.finditer(r"[.:?)] |\w(?= )|$", message)]
    reached = {0, BEFORE.match(message).end()}  # type: ignore[union-attr]
    for end in ends:
        starts = [at for at in reached if at < end]
        if any(p.fullmatch(message[at:end].strip()) for at in starts for p in known):
            reached.add(end)
    return len(message) in reached


def changed() -> Iterator[str]:
    yield "The text is longer than the sound: its 52 phones need 156 frames."
    yield "The disk is full (exp). Buy another."
    yield "my.wav is silent (-200 dB below full scale at most). Check the microphone, or sing."


def test_there_is_a_message_for_each_trouble() -> None:
    assert 15 <= len(HEADINGS) == len(set(HEADINGS)) == len(MESSAGES) == len(set(MESSAGES)) <= 30


@pytest.mark.parametrize("message", MESSAGES)
def test_the_package_says_so(message: str) -> None:
    assert is_said(message)


@pytest.mark.parametrize("message", changed())
def test_other_words_are_noticed(message: str) -> None:
    assert not is_said(message)


def test_commands_of_the_page_are_there() -> None:
    table = Path(__file__).parent / "cli" / "recorded_options.tsv"
    rows = [line.split("\t")[:2] for line in table.read_text("utf-8").splitlines()]
    known = {(command, flag) for command, flags in rows for flag in re.split(r"[ ,/]+", flags)}
    named = re.findall(r"`(speechkit [a-z][^`]*)`", PAGE.read_text("utf-8"))
    assert named
    for line in named:
        command = " ".join(re.findall(r"(?<![-\w])[a-z][-a-z]*(?= |$)", line.split(" -")[0]))
        assert any(f"{one} ".startswith(f"{command} ") for one, _ in known), line
        for flag in set(re.findall(r"--[a-z-]+", line)) - {"--help"}:
            assert (command, flag) in known, line
