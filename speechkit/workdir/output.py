"""Outputs of stages, which are all or nothing.

A stage writes one folder. While it runs, the folder is a hidden sibling
(``.NAME.partial``); when it is complete it gets a ``manifest.json``, is synced to disk
and renamed. The same command on the same inputs then finds it up to date; a killed run
leaves only the hidden sibling, which the same command takes up. Another command removes it
only if nothing in it was finished, or with ``force``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechkit.base import files
from speechkit.base.digests import collected
from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.workdir.manifest import (
    MANIFEST,
    Inputs,
    Key,
    damaged_outputs,
    manifest_text,
    read_manifest,
    utc,
    versions,
)
from speechkit.workdir.unfinished import SCRATCH, Unfinished, partial_of


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
        params: everything that determines the result (not ``jobs`` or ``device``).
        inputs: files that the stage reads; their fingerprints decide what is up to date.
        force: replace an output that other parameters made.
        audio: audio files that the stage reads (one fingerprint for all).
        resume: keep the unfinished folder when the stage fails or is killed; the stage
            itself finds its finished parts under ``scratch`` and goes on. Folders beside
            ``scratch`` stay as they were, single files are written again.
        beside: what the user can do instead of replacing the output, for the message.
        training: the stage reads its inputs many times, so what is not known of them is read
            before it begins: an unfinished training is then known by their content.
        other_batch_size: take up an unfinished training also where its batch size was another;
            the manifest then says so.

    Raises:
        UserError: another run is writing the folder, it was made with other parameters
            and ``force`` is off, an unfinished run of another kind would be lost, or it
            cannot be written.
    """

    final: Path
    command: str
    params: Mapping[str, Any]
    inputs: Iterable[Path] = ()
    force: bool = False
    audio: Iterable[Path] = ()
    resume: bool = False
    beside: str = "write beside it with `name`"
    counts: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    training: bool = False
    other_batch_size: bool = False
    up_to_date: bool = field(default=False, init=False)
    resumed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.path = partial_of(self.final)
        self.scratch = self.path / SCRATCH  # known also to processes that do not enter
        self._old = self.final.with_name(f".{self.final.name}.old")
        self._lock = files.Lock(self.final.with_name(f".{self.final.name}.lock"))
        self._started = time.time()
        self._stack = ExitStack()

    def __enter__(self) -> Output:
        try:
            files.make_dirs(self.final.parent)
            self._lock.acquire(str(self.final))
        except (files.NotWritable, OSError) as error:
            if isinstance(error, OSError) and error.errno not in files.FULL:
                raise
            self._read_key()
            self.up_to_date = self._check_existing()  # results on a read-only share are results
            if self.up_to_date:
                return self
            raise
        try:
            self._recover()
            self._read_key()
            if not self.force and self._unfinished.is_complete():
                self._put_in_place()
            self.up_to_date = self._check_existing()
            if not self.up_to_date:
                self.resumed = self._unfinished.open(self.force, self.beside)
                if self.training:
                    self._unfinished.read_inputs()
                self._stack.enter_context(collected(self.key.inputs.digests))
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stack.close()
        try:
            if self.up_to_date:
                return
            if kind is not None:
                self._unfinished.remove_unless_kept()
                return
            try:
                self._commit()
            except BaseException:
                self._unfinished.remove_unless_kept()
                raise
        finally:
            self._lock.release()

    @property
    def key(self) -> Key:
        """Command, parameters and inputs (once entered)."""
        return self._unfinished.key

    def part(self, name: str) -> Path:
        """Path of a finished part kept for resuming (removed when the output is complete)."""
        self.scratch.mkdir(exist_ok=True)
        return self.scratch / name

    def _read_key(self) -> None:
        inputs = Inputs(self.inputs, self.audio, self.final)
        key = Key(self.command, self.params, inputs)
        self._unfinished = Unfinished(
            self.final, key, self.resume, self.training, self.other_batch_size
        )

    def _check_existing(self) -> bool:
        """True if the output is there, whole, and of the same command and inputs."""
        if not self.final.exists():
            return False
        old = read_manifest(self.final) or {}
        differing = self.key.other_params(old)
        if differing and not self.force:
            if not old:
                raise UserError(
                    f"{self.final} exists but has no {MANIFEST}: speechkit did not make it.",
                    "Move it away, or replace it with `force`.",
                )
            raise UserError(
                f"{self.final} was made with other parameters ({'; '.join(differing)}).",
                f"Replace it with `force`, or {self.beside}.",
            )
        if differing:
            return False
        stale = self.key.inputs.changed(old.get("inputs", {}))
        stale += damaged_outputs(self.final, old.get("outputs", {}))
        if stale:
            logger.info(f"{self.final}: {', '.join(stale)} changed since it was made; again.")
            return False
        if self.force:
            return False
        logger.info(f"{self.final} is up to date.")
        for run in old.get("continued", []):
            logger.warning(f"It went on after {run['after']} with {', '.join(run['changed'])}.")
        if (self.final / "skipped.tsv").exists():
            logger.warning(f"It lacks the broken utterances listed in {self.final}/skipped.tsv.")
        return True

    def _recover(self) -> None:
        """Finish or undo a replacement that was cut off between its two renames."""
        if self._old.exists():
            if self.final.exists():
                files.remove_tree(self._old)
            else:
                self._old.rename(self.final)

    def _commit(self) -> None:
        self.key.inputs.read()
        key_file, continued = self._unfinished.key_file, self._unfinished.continued
        outputs = {
            str(p.relative_to(self.path)): p.stat().st_size
            for p in sorted(self.path.rglob("*"))
            if p.is_file() and p != key_file and self.scratch not in p.parents
        }
        now = time.time()
        manifest = {
            **self.key.as_dict(),
            "versions": versions(),
            "started": utc(self._started),
            "finished": utc(now),
            "seconds": round(now - self._started, 3),
            "resumed": self.resumed,
            **({"continued": continued} if continued else {}),
            "counts": self.counts,
            **self.notes,
            "outputs": outputs,
        }
        files.fsync_tree(self.path)
        with files.atomic_write(self.path / MANIFEST) as file:  # says that all the rest is whole
            file.write(manifest_text(manifest))
        # Only now: a disk that is full to the last byte has not cost the finished parts.
        self._put_in_place()

    def _put_in_place(self) -> None:
        """Rename the folder, which is whole; a run that is cut off here is finished by the next."""
        files.remove_tree(self.scratch)
        self._unfinished.key_file.unlink(missing_ok=True)
        files.fsync_dir(self.path)
        if self.final.exists():
            self.final.rename(self._old)
        self.path.rename(self.final)
        files.fsync_dir(self.final.parent)
        files.remove_tree(self._old)
