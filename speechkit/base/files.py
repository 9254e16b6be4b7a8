"""Files that are whole or absent: atomic writes, fsync, locks."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, Any

from speechkit.base.errors import UserError

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
FULL = (errno.ENOSPC, errno.EDQUOT)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_IN_THE_WAY = (PermissionError, NotADirectoryError, FileExistsError, FileNotFoundError)
_ELSEWHERE = "Choose a working directory that you may write to with -C DIR."


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

    What a killed writer left, the next one to write ``path`` takes for its own.

    Args:
        mode: ``"w"`` (UTF-8 text, LF line ends) or ``"wb"``.
    """
    temporary, handle = _open_temporary(path)
    text: dict[str, Any] = {"encoding": "utf-8", "newline": "\n"} if mode == "w" else {}
    try:
        with os.fdopen(handle, mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)  # while it is locked: no other writer takes it meanwhile
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_dir(path.parent)


def _open_temporary(path: Path) -> tuple[Path, int]:
    """The first of ``.NAME.tmp``, ``.NAME.2.tmp`` ... that no living process writes, locked."""
    for number in count(1):
        temporary = _temporary(path, number)
        try:
            handle = _lock_unless_held(temporary, os.O_CREAT)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            mine = f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp"  # no other has it
            temporary = path.with_name(mine)
            return temporary, os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        if handle is not None:
            os.ftruncate(handle, 0)
            _remove_dead(path, number + 1)
            return temporary, handle
    raise AssertionError("the numbers do not end")


def _temporary(path: Path, number: int) -> Path:
    return path.with_name(f".{path.name}.{number}.tmp" if number > 1 else f".{path.name}.tmp")


def _remove_dead(path: Path, number: int) -> None:
    """Remove what is left of writers that died side by side."""
    with contextlib.suppress(OSError):  # none is left
        for other in count(number):
            temporary = _temporary(path, other)
            handle = _lock_unless_held(temporary)
            if handle is not None:
                temporary.unlink()
                os.close(handle)


def _lock_unless_held(path: Path, flags: int = 0) -> int | None:
    """A handle of the locked file; None if a living process has it, or another user."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | flags, 0o666)
    except PermissionError:
        if not os.path.lexists(path):
            raise
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _same_file(path, handle):  # not renamed between our open and our lock
            return handle
    except BlockingIOError:
        pass
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None


class NotWritable(UserError):
    """A place that this user may not write to."""


def make_dirs(path: Path) -> Path:
    """Create a folder with its parents.

    Raises:
        UserError: the folder cannot be made (no permission, a file stands in the way).
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if not isinstance(error, _IN_THE_WAY) and error.errno not in _NOT_ALLOWED:
            raise
        reason = error.strerror or type(error).__name__
        raise NotWritable(f"Cannot create the folder {path}: {reason}.", _ELSEWHERE) from error
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
        self._file: io.FileIO | None = None

    def acquire(self, what: str) -> None:
        """Take the lock, or raise UserError that names the process that holds it."""
        while True:
            try:
                file = self.path.open("a+b", buffering=0)  # no buffer is written on closing
            except OSError as error:
                if error.errno not in _NOT_ALLOWED:
                    raise
                raise NotWritable(
                    f"Cannot write in {self.path.parent}: {error.strerror}.", _ELSEWHERE
                ) from error
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.seek(0)
                holder = file.read().decode(errors="replace").strip() or "another process"
                file.close()
                if error.errno in NO_LOCKS:
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
            file.write(f"process {os.getpid()} on {os.uname().nodename}".encode())

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


def holder(path: Path) -> str:
    """Who holds the lock file now, as ``process 17 on host``; empty if nobody does.

    The lock of a dead process is free: the system says so. It is tried for a moment, shared.
    """
    try:
        with path.open("rb", buffering=0) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().decode(errors="replace").strip() or "another process"
    except OSError:
        pass  # it is gone, or the file system has no locks
    return ""


def _same_file(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def remove_tree(path: Path) -> None:
    """Remove a folder or file if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
