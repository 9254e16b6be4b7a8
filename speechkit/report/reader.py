"""Reading what stages wrote, for the report: a damaged part is left out, with a warning."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.workdir import WorkDir
from speechkit.workdir.manifest import read_json, read_manifest

DAMAGED = (UserError, OSError, KeyError, ValueError, TypeError)


def readable(read: Any, folder: Path) -> list[Any]:
    """What was read, or nothing, with a warning."""
    try:
        return [read(folder)]
    except DAMAGED as error:
        logger.warning(f"report: {folder} is left out: {error}")
        return []


def read_log(path: Path) -> dict[str, list[float]]:
    """Columns of numbers by name."""
    import pandas

    table = pandas.read_csv(path, sep="\t")
    return {str(name): table[name].astype(float).tolist() for name in table.columns}


def read_rows(path: Path) -> list[dict[str, str]]:
    """Lines of a tab-separated table by the names of its columns."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def contents(workdir: WorkDir, name: str, count: int | None = None) -> str:
    """The corpus of a set and its number of utterances, in words.

    Args:
        workdir: the working directory.
        name: of the set.
        count: utterances that were used, where that is known to be another number.
    """
    if count is None:
        count = utterances(workdir, name)
    return f"{corpus(workdir, name) or 'unknown data'}, {count or '?'} utterances"


def utterances(workdir: WorkDir, name: str) -> int | None:
    """How many a set has, from its manifest or its table."""
    folder = workdir.root / "data" / name
    counts = (read_manifest(folder) or {}).get("counts", {})
    if isinstance(counts.get("utterances"), int):
        return int(counts["utterances"])
    try:
        return sum(1 for line in (folder / "utt2spk").read_bytes().splitlines() if line.strip())
    except OSError:
        return None


def corpus(workdir: WorkDir, name: str) -> str:
    """The corpus that a set was prepared from, through ``mix`` and ``split``; '' if unknown."""
    seen: set[str] = set()
    while name and name not in seen:
        seen.add(name)
        folder = workdir.root / "data" / name
        manifest = read_manifest(folder) or {}
        command = str(manifest.get("command", ""))
        if command.startswith("prepare "):
            return command.removeprefix("prepare ")
        header = read_json(folder / "mixtures.json")
        source = header.get("source_set", "") if isinstance(header, dict) else ""
        name = str(manifest.get("params", {}).get("set", "") or source)
    return ""
