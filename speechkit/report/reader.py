"""Reading what stages wrote, for the report: a damaged part is left out, with a warning."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.workdir import WorkDir
from speechkit.workdir.manifest import read_json, read_manifest

if TYPE_CHECKING:
    from speechkit.kaldi.data import Utterance

DAMAGED = (UserError, OSError, KeyError, ValueError, TypeError)


def undamaged(what: str, *makers: Callable[[], Any]) -> list[Any]:
    """What the makers give: something, several, or None; one that meets damage is left out.

    Args:
        what: is left out then, for the warning.
        makers: of tables or pictures.
    """
    found: list[Any] = []
    for make in makers:
        try:
            one = make()
        except DAMAGED as error:
            logger.warning(f"report: left out: {what}: {error}")
            continue
        found += one if isinstance(one, list) else [one] if one is not None else []
    return found


def read_log(path: Path) -> dict[str, list[float]]:
    """Columns of numbers by name, without the stage of scoring; empty where there is no file."""
    import pandas

    if not path.is_file():
        return {}
    table = pandas.read_csv(path, sep="\t")
    columns = [name for name in table.columns if name != "stage"]
    return {str(name): table[name].astype(float).tolist() for name in columns}


def read_rows(path: Path) -> list[dict[str, str]]:
    """Lines of a tab-separated table by the names of its columns; none without a file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def params_of(folder: Path) -> dict[str, Any]:
    """Parameters in the manifest of an output; empty without one."""
    return dict((read_manifest(folder) or {}).get("params", {}))


def contents(workdir: WorkDir, name: str, count: int | None = None) -> str:
    """The corpus of a set and its number of utterances, in words.

    Args:
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
        command = str((read_manifest(folder) or {}).get("command", ""))
        if command.startswith("prepare "):
            return command.removeprefix("prepare ")
        header = read_json(folder / "mixtures.json")
        source = header.get("source_set", "") if isinstance(header, dict) else ""
        name = str(params_of(folder).get("set", "") or source)
    return ""


def set_order(name: str) -> tuple[int, str]:
    """Training sets first, then development and test sets, then the rest."""
    kinds = ("train", "dev", "test")
    return next((i for i, kind in enumerate(kinds) if name.startswith(kind)), len(kinds)), name


class Sources:
    """The recordings of a set, to listen to; none is computed by a command.

    Raises:
        UserError: the set is gone, or breaks its format.
    """

    def __init__(self, workdir: WorkDir, name: str) -> None:
        from speechkit.kaldi import data

        found = data.load(workdir.data(name), workdir.root, allow_pipes=True)
        self.gender = found.gender
        self._by_id = {one.id: one for one in found.utterances}

    def get(self, utterance: str) -> Utterance | None:
        return self._by_id.get(utterance)

    def who(self, speaker: str) -> str:
        """A speaker and their gender."""
        return f"{speaker} ({self.gender.get(speaker, '?')})"
