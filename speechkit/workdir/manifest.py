"""What a finished output says of itself: ``manifest.json``, and how it is compared.

Inputs are known again by size and date at once, by content where these differ.
"""

from __future__ import annotations

import datetime
import errno
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

import speechkit
from speechkit.base import schema
from speechkit.base.digests import NAME, Digests, State, resolve_folder, sha256, state_of
from speechkit.base.errors import UserError

READ_UP_TO = 1 << 20  # bytes; single files up to this size are read whenever they are compared
MANIFEST = "manifest.json"


@dataclass
class Fingerprint:
    """One input: a file, or all files of a folder or of a set's audio.

    Args:
        dated: what the file system says; among it, for several files, ``sha256`` over names,
            sizes and dates.
        key: name of the digest of the content in the manifest.
        files: name, path and state of each file.
        digest: of the content, where it was computed already.
    """

    dated: dict[str, Any]
    key: str
    files: list[tuple[str, Path, State]]
    digests: Digests
    digest: str | None = None

    def content(self, read: bool) -> str | None:
        """Digest of the content.

        Args:
            read: read the files that are not known yet.

        Returns:
            None if a file is not known, or is no longer what it was.
        """
        if self.digest is None:
            found = [self.digests.known(path, state) for _, path, state in self.files]
            if read and None in found:
                with ThreadPoolExecutor() as pool:
                    known_or_read = pool.map(lambda f, d: d or self._read(f), self.files, found)
                    found = list(known_or_read)
            known = [digest for digest in found if digest]
            if len(known) == len(self.files):
                self.digest = self._join(known)
        return self.digest

    def _read(self, file: tuple[str, Path, State]) -> str | None:
        _, path, state = file
        try:
            same = state_of(path)[:2] == state[:2]
            return self.digests.of(path) if same else None
        except OSError:
            return None

    def _join(self, digests: list[str]) -> str:
        if self.key == "sha256":
            return digests[0]
        joined = hashlib.sha256()
        for (name, _, _), digest in zip(self.files, digests, strict=True):
            joined.update(f"{name}\0{digest}\n".encode("utf-8", "surrogateescape"))
        return joined.hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """For the manifest; with the content where it is known."""
        content = self.content(read=False)
        return {**self.dated, **({self.key: content} if content else {})}

    def same(self, old: Any, read: bool = True) -> bool:
        """Whether ``old``, of a manifest, is of the same content.

        Files are read only where size or date differ or a file is known to have been replaced.
        A manifest that has no content, of an older version, is compared by size and date.

        Args:
            read: read them then; otherwise another date alone is a difference.
        """
        if not isinstance(old, Mapping) or any(
            old.get(k) != self.dated.get(k) for k in ("size", "files")
        ):
            return False
        same_date = all(old.get(name) == value for name, value in self.dated.items())
        if self.key in old:
            replaced = any(self.digests.replaced(path, state) for _, path, state in self.files)
            content = self.content(read=read and (replaced or not same_date))
            if content is not None:
                return bool(old[self.key] == content)
        return same_date


class Inputs:
    """All that a stage reads.

    Args:
        audio: audio files, which have one fingerprint together.
        final: the output; names are relative to the folder that it is in, so that a working
            directory that was moved as a whole is still up to date.

    Raises:
        UserError: a path does not exist, or is a pipe or a device.
    """

    def __init__(self, paths: Iterable[Path], audio: Iterable[Path], final: Path) -> None:
        near = final.parent.resolve()
        above = (each.parent for each in (near, *near.parents) if each.name in ("data", "exp"))
        self.digests = Digests(next(above, near) / NAME)  # of the working directory
        self.prints: dict[str, Fingerprint] = {}
        for path in paths:
            try:
                self.prints[os.path.relpath(path.resolve(), near)] = of(path, self.digests)
            except FileNotFoundError as error:
                raise UserError(f"{path} does not exist, but this command reads it.") from error
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                raise UserError(f"{path} is not a file, but this command reads it.") from error
        if listed := list(audio):
            self.prints["audio"] = of_many(listed, near, self.digests)

    def as_dict(self) -> dict[str, Any]:
        """Fingerprints by name."""
        return {name: found.as_dict() for name, found in self.prints.items()}

    def changed(self, old: Mapping[str, Any]) -> list[str]:
        """Names of those that are not what a manifest says of them."""
        names = sorted({*old, *self.prints})
        return [n for n in names if n not in self.prints or not self.prints[n].same(old.get(n))]

    def read(self) -> None:
        """Read what is not known yet."""
        for found in self.prints.values():
            found.content(read=True)


def of(path: Path, digests: Digests) -> Fingerprint:
    """Of a file, or of all files in a folder.

    Raises:
        OSError: it is not there.
    """
    if path.is_dir():
        near = path.resolve()
        found = [p for p in path.rglob("*") if p.is_file()]
        return of_many(found, near, digests, lambda p: os.path.relpath(p, path))
    state = state_of(path)
    dated = {"size": state[0], "mtime_ns": state[1]}
    digest = sha256(path) if state[0] <= READ_UP_TO else None
    return Fingerprint(dated, "sha256", [(path.name, path, state)], digests, digest)


def of_many(
    paths: Iterable[Path],
    near: Path,
    digests: Digests,
    name: Any = lambda path: path.name,
) -> Fingerprint:
    """Of several files together; those that are missing are left out.

    Args:
        near: the digest by date is over names relative to this folder.
        name: of a file in the digest by content.
    """
    dated, size, files = hashlib.sha256(), 0, []
    for path in sorted(set(paths)):
        try:
            state = state_of(path)
        except (OSError, ValueError):
            continue  # the stage itself names files that are missing
        relative = os.path.relpath(resolve_folder(path.parent) / path.name, near)
        line = f"{relative}\0{state[0]}\0{state[1]}\n"
        dated.update(line.encode("utf-8", "surrogateescape"))
        size += state[0]
        files.append((name(path), path, state))
    found = {"files": len(files), "size": size, "sha256": dated.hexdigest()}
    return Fingerprint(found, "content", files, digests)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of an output folder, or None where there is none or it is not a stage's."""
    try:
        found = schema.read_json(folder / MANIFEST, schema.Object)
        schema.check(found, _Manifest, MANIFEST)
    except schema.Damaged:
        return None
    return found


class _Manifest(msgspec.Struct):
    """What is relied on; all else is a record."""

    command: str
    params: schema.Object = {}
    inputs: dict[str, schema.Object] = {}
    outputs: dict[str, int] = {}
    counts: schema.Object = {}


def versions() -> dict[str, str]:
    """Versions of speechkit, Python, and the numerical packages that are loaded."""
    found = {"speechkit": speechkit.__version__, "python": sys.version.split()[0]}
    for name in ("numpy", "torch", "torchaudio", "speechbrain", "parselmouth", "lightning"):
        module = sys.modules.get(name)
        if module is not None and hasattr(module, "__version__"):
            found[name] = str(module.__version__)
    return found


@dataclass
class Key:
    """What decides a result: the same key gives the same output.

    Args:
        params: everything that determines the result.
    """

    command: str
    params: Mapping[str, Any]
    inputs: Inputs

    def __post_init__(self) -> None:
        self.params = json.loads(json.dumps(dict(self.params), default=str))  # as it is read back

    def as_dict(self) -> dict[str, Any]:
        """For the manifest; of inputs, what is known without reading them."""
        return {"command": self.command, "params": self.params, "inputs": self.inputs.as_dict()}

    def other_params(self, old: Mapping[str, Any]) -> list[str]:
        """In what an old key is of another command or of other parameters."""
        if old.get("command") != self.command:
            return [f"command: {old.get('command', 'not known')} there, {self.command} now"]
        return changed(old.get("params", {}), self.params)


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    def shown(params: Mapping[str, Any], name: str) -> str:
        return str(params.get(name, "unset")) or "empty"

    return [
        f"{name}: {shown(old, name)} there, {shown(new, name)} now"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def damaged_outputs(folder: Path, outputs: Mapping[str, int]) -> list[str]:
    def size(path: Path) -> int:
        return path.stat().st_size if path.is_file() else -1

    return [str(folder / name) for name, want in outputs.items() if size(folder / name) != want]


def read_json(path: Path) -> Any:
    try:
        return schema.read_json(path, Any)
    except schema.Damaged:
        return None


def utc(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="seconds")


def manifest_text(manifest: Mapping[str, Any]) -> str:
    """The content of ``manifest.json``."""
    return json.dumps(manifest, indent=2, default=str) + "\n"
