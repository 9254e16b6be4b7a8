"""Digests of files, each computed once: they are remembered by path, size, times and inode."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from speechkit.base.signals import environment

NAME = ".digests"  # beside data/ and exp/
_VARIABLE = "SPEECHKIT_DIGESTS"  # tells worker processes where the file is
_TICK = 20_000_000  # ns; clocks of file systems are at least so fine

State = tuple[int, int, int, int]
"""Size, modification time, inode and change time of a file."""


def state_of(path: Path) -> State:
    """What a file system says of a file without reading it.

    Raises:
        OSError: there is none; ``EINVAL`` where something else stands, which may have no end.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content.

    Raises:
        OSError: as :func:`state_of`, or it cannot be read.
    """
    state_of(path)
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=4096)
def resolve_folder(folder: Path) -> Path:
    """Without links, so that a set reached through another path is the same."""
    return folder.resolve()


class Digests:
    """What is known of files, shared by processes through a file that only grows.

    A line is ``[digest, path, state]`` as JSON. Lines are appended in one write each, so that
    processes need no lock; one that is not whole is passed over. Where the file cannot be
    written, digests are computed again: that costs time and nothing else.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._known: dict[str, dict[State, str]] = {}
        self._read, self._inode, self._lock = 0, 0, threading.Lock()
        self._refresh()

    def known(self, path: Path, state: State) -> str | None:
        """The digest of a file in this state, if it was computed before."""
        name = _name(path)
        if state not in self._known.get(name, {}):
            self._refresh()
        return self._known.get(name, {}).get(state)

    def replaced(self, path: Path, state: State) -> bool:
        """Whether the file was known in other states, and is not in this one."""
        return _name(path) in self._known and self.known(path, state) is None

    def of(self, path: Path) -> str:
        """The digest of a file as it is now; it is read only if its state is not known.

        Raises:
            OSError: it cannot be read.
        """
        state = state_of(path)
        found = self.known(path, state)
        if found is None:
            age = time.time_ns() - max(state[1], state[3])
            if 0 <= age < _TICK:  # another write in the same tick would not show
                time.sleep((_TICK - age) / 1e9)
            found = sha256(path)
            if state_of(path) == state:  # nobody wrote to it meanwhile
                self._keep(found, _name(path), state)
        return found

    def _keep(self, digest: str, name: str, state: State) -> None:
        line = json.dumps([digest, name, state]).encode() + b"\n"
        with self._lock:
            self._known.setdefault(name, {})[state] = digest
        with contextlib.suppress(OSError):  # a read-only share, a full disk
            handle = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                written = os.write(handle, line)
                with self._lock:  # what this process wrote it need not read
                    if os.fstat(handle).st_size == self._read + written == self._read + len(line):
                        self._read, self._inode = self._read + written, os.fstat(handle).st_ino
            finally:
                os.close(handle)

    def _refresh(self) -> None:
        """Read what was appended since, also by other processes."""
        try:
            about = self.file.stat()
            with self._lock:
                if about.st_ino != self._inode:
                    self._read, self._inode = 0, about.st_ino
                if about.st_size <= self._read:
                    return
                with self.file.open("rb") as file:
                    file.seek(self._read)
                    content = file.read()
                whole = content[: content.rfind(b"\n") + 1]
                self._read += len(whole)
                for line in whole.splitlines():
                    self._take(line)
        except OSError:
            return

    def _take(self, line: bytes) -> None:
        try:
            digest, name, state = json.loads(line)
            size, modified, inode, changed = map(int, state)
        except (ValueError, TypeError):
            return
        if isinstance(name, str) and isinstance(digest, str) and len(digest) == 64:
            self._known.setdefault(name, {})[size, modified, inode, changed] = digest


def _name(path: Path) -> str:
    return str(resolve_folder(path.parent) / path.name)


@contextmanager
def collected(digests: Digests) -> Iterator[None]:
    """Meanwhile what is decoded is digested on the way, also in worker processes."""
    with environment(**{_VARIABLE: str(digests.file.absolute())}):
        yield


def note(path: str | Path) -> None:
    """Digest a file that is about to be decoded, if a stage wants to know its content."""
    if where := os.environ.get(_VARIABLE):
        with contextlib.suppress(OSError):  # whoever decodes it says why it cannot be read
            _shared(where).of(Path(path))


@lru_cache(maxsize=4)
def _shared(where: str) -> Digests:
    return Digests(Path(where))
