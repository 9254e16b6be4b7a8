"""Labels that differ in case only: one class or two, which only the user knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from speechkit.base.errors import UserError

LABELS = "utt2emotion"
FILE = "label_case"  # in a set: its classes differ in case only, and are to be kept apart
STOP, LOWER, KEEP = MODES = ("stop", "lower", "keep")
FLAG = "--label-case"


def differing(labels: Iterable[str]) -> str:
    """Classes that differ in case only, with how often each comes; empty if none do."""
    groups: dict[str, list[str]] = {}
    count = Counter(labels)
    for name in sorted(count):
        groups.setdefault(name.casefold(), []).append(name)
    return "; ".join(
        ", ".join(f"'{name}' ({count[name]})" for name in group)
        for group in groups.values()
        if len(group) > 1
    )


def check(labels: Iterable[str], where: Path, command: str) -> None:
    """Raise UserError where classes differ in case only.

    Args:
        labels: of all utterances.
        where: their table.
        command: which takes the flag that decides.
    """
    if found := differing(labels):
        raise UserError(
            f"{where}: classes differ in case only: {found}.",
            f"Write all classes in lower case with {command}{FLAG} {LOWER}, or keep them apart "
            f"with {FLAG} {KEEP}.",
        )
