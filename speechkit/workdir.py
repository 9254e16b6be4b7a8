"""The working directory: where sets and outputs live, and outputs that are all or nothing.

A stage writes one folder. While it runs, the folder is a hidden sibling
(``.NAME.partial``); when it is complete it gets a ``manifest.json``, is synced to disk
and renamed. The same command on the same inputs then finds it up to date; a killed run
leaves only the hidden sibling, which the same command takes up and any other removes.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from speechkit import files
from speechkit.errors import UserError
from speechkit.log import logger
from speechkit.manifest import (
    MANIFEST,
    changed,
    damaged_outputs,
    read_json,
    read_manifest,
    stale_inputs,
    utc,
    versions,
)
from speechkit.names import composed, on_disk, size

_NAME = re.compile(r"\w[\w.+-]{0,99}")
_MOST_BYTES = 200  # leaves 55 for `.NAME.partial` and the like


def check_name(what: str, name: str) -> str:
    """``name``, in the composed form, if it can be one folder.

    A path must never lead a stage out of its place.

    Raises:
        UserError: it is empty, too long, or holds more than letters, digits and ``_ - . +``.
    """
    name = composed(name)
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name[:200]!r} cannot be the name of a {what}.",
            "Use letters, digits, '_', '-', '.' and '+' (at most 100), and begin with a letter, "
            "digit or '_'.",
        )
    if size(name) > _MOST_BYTES:
        raise UserError(
            f"'{name}' cannot be the name of a {what}: it has {size(name)} bytes on the disk "
            f"({len(name)} characters).",
            f"At most {_MOST_BYTES} bytes are accepted; letters other than a to z need 2 to 4.",
        )
    return name


@dataclass(frozen=True)
class WorkDir:
    """Paths of a working directory.

    Args:
        root: the folder that holds ``data/`` and ``exp/``.
    """

    root: Path

    def data(self, name: str) -> Path:
        """``data/<name>``; raises UserError when the set is not there."""
        path = on_disk(self.root / "data" / check_name("set", name))
        if not name or not path.is_dir():
            raise UserError(
                f"There is no set '{name}' in {self.root / 'data'}. {self._sets_found()}",
                "Make one with `speechkit prepare` (see `speechkit prepare --help`), "
                "or name the working directory with -C DIR.",
            )
        return path

    def sets(self) -> list[str]:
        """Names of the sets under ``data/``."""
        data = self.root / "data"
        found = data.iterdir() if data.is_dir() else iter(())
        return sorted(p.name for p in found if (p / "wav.scp").is_file())

    def _sets_found(self) -> str:
        found = self.sets()
        return f"Sets found: {', '.join(found)}." if found else "No sets were found."

    def exp(self, *parts: str, name: str = "") -> Path:
        """``exp/<parts>``, the last part followed by ``-<name>`` if a name is given."""
        *head, last = parts
        names = [*head, f"{last}-{name}" if name else last]
        return self.root.joinpath("exp", *(check_name("folder of exp/", n) for n in names))

    def require(self, path: Path, made_by: str) -> Path:
        """``path`` if it exists; otherwise UserError that names the command that makes it."""
        if not path.exists():
            raise UserError(f"{path} does not exist.", f"Make it with: {made_by}")
        return path


@dataclass
class Output:
    """One output folder of a stage, used as a context manager.

    ::

        with Output(final, "mine-hard", params, inputs) as out:
            if out.up_to_date:
                return
            (out.path / "table.tsv").write_text(...)
            out.counts["utterances"] = 100

    Args:
        final: the folder to be made.
        command: name of the stage.
        params: everything that determines the result (not ``--jobs`` or ``--device``).
        inputs: files that the stage reads; their fingerprints decide what is up to date.
        force: replace an output that other parameters made.
        audio: audio files that the stage reads (one fingerprint for all).
        resume: keep the unfinished folder when the stage fails or is killed; the stage
            itself finds its finished parts under ``scratch`` and goes on. Folders beside
            ``scratch`` stay as they were, single files are written again.
        beside: what the user can do instead of replacing the output, for the message.

    Raises:
        UserError: another run is writing the folder, it was made with other parameters
            and ``force`` is off, or it cannot be written.
    """

    final: Path
    command: str
    params: Mapping[str, Any]
    inputs: Iterable[Path] = ()
    force: bool = False
    audio: Iterable[Path] = ()
    resume: bool = False
    beside: str = "write beside it with --name"
    counts: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    up_to_date: bool = field(default=False, init=False)
    resumed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.path = self.final.with_name(f".{self.final.name}.partial")
        self.scratch = self.path / ".scratch"
        self._old = self.final.with_name(f".{self.final.name}.old")
        self._lock = files.Lock(self.final.with_name(f".{self.final.name}.lock"))
        self._started = time.time()

    def __enter__(self) -> Output:
        try:
            files.make_dirs(self.final.parent)
            self._lock.acquire(str(self.final))
        except files.NotWritable:
            self._key = self._make_key()
            self.up_to_date = self._check_existing()  # results on a read-only share are results
            if self.up_to_date:
                return self
            raise
        try:
            self._recover()
            self._key = self._make_key()
            self.up_to_date = self._check_existing()
            if not self.up_to_date:
                self._open_partial()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self.up_to_date:
                return
            done = False
            try:
                if kind is None:
                    self._commit()
                    done = True
            finally:
                if not (done or (self.resume and self.scratch.exists())):
                    files.remove_tree(self.path)
        finally:
            self._lock.release()

    @property
    def key(self) -> dict[str, Any]:
        """Command, parameters and fingerprints of the inputs (once entered)."""
        return self._key

    def part(self, name: str) -> Path:
        """Path of a finished part kept for resuming (removed when the output is complete)."""
        self.scratch.mkdir(exist_ok=True)
        return self.scratch / name

    def _make_key(self) -> dict[str, Any]:
        # Relative names: a working directory that was moved as a whole is still up to date.
        near = self.final.parent.resolve()
        prints = {os.path.relpath(p.resolve(), near): _fingerprint(p) for p in self.inputs}
        audio = list(self.audio)
        if audio:
            prints["audio"] = files.fingerprint_many(audio, near)
        params = json.loads(json.dumps(dict(self.params), default=str))
        return {"command": self.command, "params": params, "inputs": prints}

    def _check_existing(self) -> bool:
        """True if the output is there, whole, and of the same command and inputs."""
        if not self.final.exists():
            return False
        old = read_manifest(self.final)
        if old is None:
            if not self.force:
                raise UserError(
                    f"{self.final} exists but has no {MANIFEST}: speechkit did not make it.",
                    "Move it away, or replace it with --force.",
                )
            return False
        differing = changed(old.get("params", {}), self._key["params"])
        if old["command"] != self.command:
            differing = [f"command: {old['command']} there, {self.command} now"]
        if differing:
            if not self.force:
                raise UserError(
                    f"{self.final} was made with other parameters ({'; '.join(differing)}).",
                    f"Replace it with --force, or {self.beside}.",
                )
            return False
        stale = stale_inputs(old.get("inputs", {}), self._key["inputs"])
        stale += damaged_outputs(self.final, old.get("outputs", {}))
        if stale:
            logger.info(f"{self.final}: {', '.join(stale)} changed since it was made; again.")
            return False
        if self.force:
            return False
        logger.info(f"{self.final} is up to date.")
        if (self.final / "skipped.tsv").exists():
            logger.warning(f"It lacks the broken utterances listed in {self.final}/skipped.tsv.")
        return True

    def _open_partial(self) -> None:
        key_file = self.path / ".key.json"
        if self.path.exists():
            if self.resume and read_json(key_file) == self._key and not self.force:
                self.resumed = self.scratch.exists()
                for left in self.path.iterdir():  # half-written files of the dead run
                    if left.is_file() and left != key_file:
                        left.unlink()
                if self.resumed:
                    logger.info(f"{self.final}: taking up an unfinished run.")
                return
            files.remove_tree(self.path)
        files.make_dirs(self.path)
        key_file.write_text(json.dumps(self._key), encoding="utf-8")

    def _recover(self) -> None:
        """Finish or undo a replacement that was cut off between its two renames."""
        if self._old.exists():
            if self.final.exists():
                files.remove_tree(self._old)
            else:
                self._old.rename(self.final)

    def _commit(self) -> None:
        key_file = self.path / ".key.json"
        outputs = {
            str(p.relative_to(self.path)): p.stat().st_size
            for p in sorted(self.path.rglob("*"))
            if p.is_file() and p != key_file and self.scratch not in p.parents
        }
        now = time.time()
        manifest = {
            **self._key,
            "versions": versions(),
            "started": utc(self._started),
            "finished": utc(now),
            "seconds": round(now - self._started, 3),
            "resumed": self.resumed,
            "counts": self.counts,
            **self.notes,
            "outputs": outputs,
        }
        text = json.dumps(manifest, indent=2, default=str) + "\n"
        (self.path / MANIFEST).write_text(text, encoding="utf-8")
        files.fsync_tree(self.path)
        # Only now: a disk that is full to the last byte has not cost the finished parts.
        files.remove_tree(self.scratch)
        key_file.unlink(missing_ok=True)
        files.fsync_dir(self.path)
        if self.final.exists():
            self.final.rename(self._old)
        self.path.rename(self.final)
        files.fsync_dir(self.final.parent)
        files.remove_tree(self._old)


def _fingerprint(path: Path) -> dict[str, Any]:
    try:
        return files.fingerprint(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist, but this command reads it.") from error
