"""Files that are whole or absent: atomic writes, fsync, locks, fingerprints."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from speechkit.errors import UserError

HASH_UP_TO = 1 << 20  # files up to this many bytes are compared by content, not by date


def fsync_dir(path: Path) -> None:
    """Make renames and new names in ``path`` durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as error:  # some network file systems cannot sync a directory
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def fsync_tree(path: Path) -> None:
    """fsync every file and folder below ``path``."""
    for folder, _, names in os.walk(path):
        for name in names:
            fd = os.open(Path(folder) / name, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        fsync_dir(Path(folder))


@contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary sibling of ``path`` for writing; rename it when the block ends well.

    Args:
        path: the file to replace.
        mode: ``"w"`` (UTF-8 text, LF line ends) or ``"wb"``.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    text: dict[str, Any] = {"encoding": "utf-8", "newline": "\n"} if mode == "w" else {}
    try:
        with temporary.open(mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_dir(path.parent)


class NotWritable(UserError):
    """A place that this user may not write to."""


def make_dirs(path: Path) -> Path:
    """Create a folder with its parents.

    Raises:
        UserError: the folder cannot be made (no permission, a file stands in the way).
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (PermissionError, NotADirectoryError, FileExistsError, FileNotFoundError) as error:
        reason = error.strerror or type(error).__name__
        raise NotWritable(
            f"Cannot create the folder {path}: {reason}.",
            "Choose a working directory that you may write to with -C DIR.",
        ) from error
    except OSError as error:
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise NotWritable(
                f"Cannot create the folder {path}: {error.strerror}.",
                "Choose a working directory that you may write to with -C DIR.",
            ) from error
        raise
    return path


_held: set[Lock] = set()


def _forget_in_child() -> None:
    """A forked child (a data loader) must not keep its dead parent's locks alive."""
    for lock in _held:
        lock.drop()
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)


class Lock:
    """An exclusive lock on a file, freed by the system when its holder dies.

    Args:
        path: the lock file; it is removed on release.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: io.TextIOWrapper | None = None

    def acquire(self, what: str) -> None:
        """Take the lock, or raise UserError that names the process that holds it."""
        while True:
            try:
                file = self.path.open("a+", encoding="utf-8")
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                    raise
                raise NotWritable(
                    f"Cannot write in {self.path.parent}: {error.strerror}.",
                    "Choose a working directory that you may write to with -C DIR.",
                ) from error
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.seek(0)
                holder = file.read().strip() or "another process"
                file.close()
                if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                    raise UserError(
                        f"The file system of {self.path.parent} has no file locks.",
                        "Work on a local disk, or have the share mounted with locks.",
                    ) from error
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                raise UserError(
                    f"{what} is being written by {holder}.",
                    "Wait for it to end, or stop it, then run this command again.",
                ) from error
            # The holder before us may have removed the file between our open and our lock.
            if _same_file(self.path, file.fileno()):
                break
            file.close()
        self._file = file
        _held.add(self)
        with contextlib.suppress(OSError):  # a full disk costs the holder's name, not the lock
            file.truncate(0)
            file.write(f"process {os.getpid()} on {os.uname().nodename}")
            file.flush()

    def release(self) -> None:
        if self._file is not None:
            _held.discard(self)
            self.path.unlink(missing_ok=True)
            self.drop()

    def drop(self) -> None:
        """Close this process's handle; the lock itself ends with the last handle."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _same_file(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def fingerprint(path: Path) -> dict[str, Any]:
    """Size, modification time, and for small files the SHA-256 of the content.

    A folder is one digest over the files in it (see :func:`fingerprint_many`).
    """
    if path.is_dir():
        return fingerprint_many((p for p in path.rglob("*") if p.is_file()), path.resolve())
    stat = path.stat()
    found: dict[str, Any] = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    if stat.st_size <= HASH_UP_TO:
        found["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def fingerprint_many(paths: Iterable[Path], near: Path) -> dict[str, Any]:
    """One digest over names (relative to ``near``), sizes and dates of many files."""
    digest, count, size = hashlib.sha256(), 0, 0
    for path in sorted(set(paths)):
        try:
            stat = path.stat()
        except OSError:
            continue  # the stage itself names files that are missing
        name = os.path.relpath(_resolve_folder(path.parent) / path.name, near)
        digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
        count, size = count + 1, size + stat.st_size
    return {"files": count, "size": size, "sha256": digest.hexdigest()}


@lru_cache(maxsize=4096)
def _resolve_folder(folder: Path) -> Path:
    """Without links, so that a set reached through another path has the same fingerprint."""
    return folder.resolve()


def same_fingerprint(old: dict[str, Any] | None, new: dict[str, Any] | None) -> bool:
    """Whether two fingerprints are of the same content (dates count only without a hash)."""
    if not old or not new or old.get("size") != new.get("size"):
        return False
    if "sha256" in old and "sha256" in new:
        return bool(old["sha256"] == new["sha256"])
    return bool(old.get("mtime_ns") == new.get("mtime_ns"))


def remove_tree(path: Path) -> None:
    """Remove a folder or file if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
