"""Limits of the package: its lines and files, and those of a file and of a function."""

from __future__ import annotations

import ast
from pathlib import Path
from statistics import median

import speechkit

ROOT = Path(speechkit.__file__).parent
MOST_LINES, MOST_FILES = 64_800, 360
MOST_LINES_OF_CLI = 1884  # flags are fields of the configurations of the other packages
LONGEST_FILE, LONGEST_FUNCTION = 320, 60
TEXTS = {path.relative_to(ROOT): path.read_text("utf-8") for path in sorted(ROOT.rglob("*.py"))}
LINES = {path: text.count("\n") for path, text in TEXTS.items()}


def test_the_package_as_a_whole() -> None:
    assert sum(LINES.values()) <= MOST_LINES
    assert len(LINES) <= MOST_FILES
    assert 90 <= median(LINES.values()) <= 200


def test_the_command_line() -> None:
    assert sum(n for path, n in LINES.items() if path.parts[0] == "cli") <= MOST_LINES_OF_CLI


def test_files() -> None:
    assert {str(path): lines for path, lines in LINES.items() if lines > LONGEST_FILE} == {}


def test_functions() -> None:
    """Outside ``cli``: a command's parameters alone can fill a page."""
    found = {
        f"{path}:{node.name}": 1 + (node.end_lineno or 0) - node.lineno
        for path, text in TEXTS.items()
        if path.parts[0] != "cli"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in found.items() if lines > LONGEST_FUNCTION} == {}
