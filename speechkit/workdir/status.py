"""What is there in a working directory, and whether it is up to date: ``speechkit status``.

Only manifests are read, and of inputs size and date, as a stage does first. Where the date alone
is another, files are compared by content if they have up to 64 MiB together; larger ones are not
read, and said to be of another date. The audio of sets is not looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from speechkit.base.digests import NAME as DIGESTS
from speechkit.base.digests import Digests
from speechkit.base.files import holder
from speechkit.base.log import counted
from speechkit.base.tables import grouped
from speechkit.workdir import WorkDir
from speechkit.workdir.manifest import (
    MANIFEST,
    Fingerprint,
    damaged_outputs,
    of,
    read_json,
    read_manifest,
)
from speechkit.workdir.unfinished import finished_of, partial_of

UP_TO_DATE, STALE, RUNNING, HALF_DONE = "up to date", "stale", "running", "half done"
BY_HAND = "made elsewhere"
SETS, STAGES, MODELS, EVALUATIONS, REPORTS = "sets", "stages", "models", "evaluations", "reports"
KINDS = (SETS, STAGES, MODELS, EVALUATIONS, REPORTS)
MODEL_FOLDERS = (
    *("acoustic", "xvector_nnet"),
    *("separation", "pronunciation", "scoring", "emotion"),
)
"""Folders of ``exp/`` that hold models by name."""
_READ_UP_TO = 64 << 20  # bytes of an input, to see whether more than its date is another
_MOST = 3  # reasons told of one output
_DEEPEST = 4  # folders below exp/: TASK/NAME/foldN/seedM


@dataclass
class Status:
    """One output.

    Args:
        kind: one of :data:`KINDS`.
        path: of the folder, below the working directory.
        why: what changed (stale), who runs it (running).
        done: how far a run is that is not finished, in its own words.
        finished: when, as ISO 8601; empty if it is not.
    """

    kind: str
    path: str
    state: str
    why: list[str] = field(default_factory=list)
    done: str = ""
    command: str = ""
    finished: str = ""
    counts: dict[str, Any] = field(default_factory=dict)

    @property
    def details(self) -> str:
        """What is known beside the state: how far, why, or how many items."""
        more = [word for word in (self.done, *self.why[:_MOST]) if word]
        if len(self.why) > _MOST:
            more.append(f"{len(self.why) - _MOST} more")
        what = "mixture" if "mixtures" in self.counts else "utterance"  # of both: what they are of
        count = self.counts.get(f"{what}s")
        if not more and isinstance(count, int):
            more = [counted(count, what)]
        return ", ".join(more)


def status(workdir: WorkDir) -> list[Status]:
    """Of all outputs below ``data/``, ``exp/`` and ``report/``, by kind and path."""
    root = workdir.root.resolve()
    compare = _Comparison(root)
    folders = [*_outputs(root / "data", 1), *_outputs(root / "exp", _DEEPEST)]
    found = [compare.status(folder) for folder in folders]
    _stale_by_others(root, found, compare.read_by)
    found += _report(root, found)
    return sorted(found, key=lambda one: (KINDS.index(one.kind), one.path))


def _outputs(folder: Path, deepest: int) -> Iterator[Path]:
    """Folders that are outputs, or that a run was or is about to make."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return
    plain = {name for name in names if not name.startswith(".")}
    hidden = {
        name[1:].removesuffix(end)
        for name in names
        for end in (".partial", ".lock")
        if name.startswith(".") and name.endswith(end)
    }
    for name in sorted(plain | hidden):
        path = folder / name
        unfinished = name in hidden and (partial_of(path).is_dir() or _runs(path))
        if unfinished or any((path / mark).is_file() for mark in (MANIFEST, "wav.scp")):
            yield path
        if deepest > 1 and name in plain:
            inner = path / "eval" if (path / MANIFEST).is_file() else path
            yield from _outputs(inner, deepest - 1)


def _runs(path: Path) -> str:
    return holder(path.with_name(f".{path.name}.lock"))


class _Comparison:
    """Outputs beside their inputs; each input is looked at once.

    Attributes:
        read_by: path of an output -> the files and folders that it reads.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.read_by = root, dict[str, list[Path]]()
        digests = Digests(root / DIGESTS)

        @cache
        def fingerprint(path: Path) -> Fingerprint | None:
            try:
                return of(path, digests)
            except OSError:
                return None

        self._fingerprint = fingerprint

    def status(self, folder: Path) -> Status:
        """Of one output."""
        name = folder.relative_to(self.root).as_posix()
        found = Status(_kind(name), name, UP_TO_DATE)
        manifest = read_manifest(folder)
        if manifest is not None:
            found.command, found.counts = manifest["command"], dict(manifest.get("counts", {}))
            found.finished = str(manifest.get("finished", ""))
            inputs = manifest.get("inputs", {})
            self.read_by[name] = [self._path(folder, one) for one in inputs if one != "audio"]
            found.why = self._changed(folder, inputs)
            damaged = damaged_outputs(folder, manifest.get("outputs", {}))
            found.why += [self._shown(Path(one)) for one in damaged]
            found.state = STALE if found.why else UP_TO_DATE
        else:
            found.state = BY_HAND
        partial = partial_of(folder)
        if partial.is_dir() or manifest is None:
            self._unfinished(found, folder, partial)
        return found

    def _unfinished(self, found: Status, folder: Path, partial: Path) -> None:
        who, there = _runs(folder), partial.is_dir()
        if who or there:
            found.state, found.why = (RUNNING, [who]) if who else (HALF_DONE, [])
            found.done = finished_of(partial)
            key = read_json(partial / ".key.json") or {}
            found.command = str(key.get("command", found.command))

    @staticmethod
    def _path(folder: Path, name: str) -> Path:
        return Path(os.path.normpath(folder.parent.resolve() / name))

    def _changed(self, folder: Path, inputs: Mapping[str, Any]) -> list[str]:
        """Inputs that are other than the manifest says, each with what is known of it."""
        found = []
        for name, old in inputs.items():
            if name == "audio":  # of a whole set: the stage itself looks at it
                continue
            path = self._path(folder, name)
            now = self._fingerprint(path)
            if now is None:
                found.append(f"{self._shown(path)} is gone")
            elif not now.same(old, read=now.dated["size"] <= _READ_UP_TO):
                same_size = all(old.get(k) == now.dated.get(k) for k in ("size", "files"))
                unread = same_size and now.key in old and now.content(read=False) is None
                found.append(self._shown(path) + (" (another date)" if unread else ""))
        return found

    def _shown(self, path: Path) -> str:
        inside = path.is_relative_to(self.root)
        return str(path.relative_to(self.root) if inside else path)


def _kind(name: str) -> str:
    """Of a folder below the working directory."""
    top, *rest = name.split("/")
    if top == "data":
        return SETS
    if rest[0] not in MODEL_FOLDERS:
        return STAGES
    return EVALUATIONS if "eval" in rest[2:] else MODELS


def _stale_by_others(root: Path, found: list[Status], read_by: Mapping[str, list[Path]]) -> None:
    """What reads an output that is stale is so itself, until both are made again."""
    by_path = {one.path: one for one in found}
    todo = [one for one in found if one.state == STALE]
    readers: dict[str, set[str]] = {}
    for reader, paths in read_by.items():
        for path in paths:
            inside = path.relative_to(root) if path.is_relative_to(root) else Path()
            for folder in (inside, *inside.parents):
                readers.setdefault(folder.as_posix(), set()).add(reader)
    for one in todo:
        for reader in sorted(readers.get(one.path, ())):
            other = by_path[reader]
            if other.state == UP_TO_DATE:
                other.state, other.why = STALE, [f"{one.path} is stale"]
                todo.append(other)


def _report(root: Path, found: list[Status]) -> Iterator[Status]:
    """The page, which is stale when an output of ``exp/`` is newer."""
    page = root / "report" / "index.html"
    if not page.is_file():
        return
    made = page.stat().st_mtime
    newer = [
        f"{one.path} is newer"
        for one in found
        if one.kind != SETS and one.finished and (root / one.path / MANIFEST).stat().st_mtime > made
    ]
    state = STALE if newer else UP_TO_DATE
    yield Status(REPORTS, "report/index.html", state, newer, command="report")


def by_model(those: Iterable[Status]) -> Iterator[tuple[str, list[tuple[str, Status]]]]:
    """Outputs of one kind by name; seeds and folds of a model stand together while they agree.

    Yields:
        The name, and its parts: what they are (empty: it is one output itself), and one of them.
    """
    for name, parts in grouped(those, _name).items():
        if len(parts) == 1 and parts[0].path.endswith(name):
            yield name, [("", parts[0])]
            continue
        found = []
        for same in grouped(parts, lambda one: (one.state, one.details)).values():
            inner = [one.path.split(f"/{name}/", 1)[-1] for one in same]
            what = "seeds" if not any("/" in part for part in inner) else "seeds and folds"
            found.append((f"{len(same)} {what}" if inner[1:] else inner[0], same[0]))
        yield name, found


def _name(one: Status) -> str:
    """``train``, ``gop/train``, ``emotion/mine`` and ``emotion/mine/eval/folds``."""
    top, *rest = one.path.split("/")
    if one.kind == MODELS:
        return "/".join(rest[:2])
    return "/".join(rest) if top == "exp" else one.path.removeprefix("data/")
