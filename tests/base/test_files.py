"""Atomic writes, locks."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from speechkit.base import files
from speechkit.base.errors import UserError

HOLD = """
import sys, time
from pathlib import Path
from speechkit.base.files import Lock
lock = Lock(Path(sys.argv[1]))
lock.acquire("out")
print("locked", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that holds ``tmp_path/lock``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "lock"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.wait()


def test_atomic_write_replaces_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_text("old")
    with files.atomic_write(path) as file:
        file.write("gr\u00fcn\n")
        assert path.read_text() == "old"
    assert path.read_bytes() == "grün\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_write_keeps_the_old_file_on_failure(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="boom"), files.atomic_write(path, "wb") as file:
        file.write(b"half")
        raise RuntimeError("boom")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_lock_names_its_holder(tmp_path: Path, holder: subprocess.Popen) -> None:
    with pytest.raises(UserError, match=rf"exp/x is being written by process {holder.pid} on "):
        files.Lock(tmp_path / "lock").acquire("exp/x")


def test_killed_holder_frees_the_lock(tmp_path: Path, holder: subprocess.Popen) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "lock").exists()  # stale, and no obstacle
    lock = files.Lock(tmp_path / "lock")
    lock.acquire("exp/x")
    assert str(os.getpid()) in (tmp_path / "lock").read_text()
    lock.release()
    assert not (tmp_path / "lock").exists()
    lock.release()  # twice is harmless


def test_lock_excludes_within_a_process_and_is_free_after_release(tmp_path: Path) -> None:
    first, second = files.Lock(tmp_path / "lock"), files.Lock(tmp_path / "lock")
    first.acquire("out")
    with pytest.raises(UserError):
        second.acquire("out")
    first.release()
    second.acquire("out")
    second.release()


def test_lock_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match="Cannot write in"):
        files.Lock(tmp_path / "lock").acquire("out")


def test_make_dirs_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot create the folder"):
        files.make_dirs(tmp_path / "file" / "exp")
    with pytest.raises(UserError, match="Cannot create the folder"):
        files.make_dirs(tmp_path / "file")


WRITE = """
import os, sys
from pathlib import Path
from speechkit.base.files import atomic_write
with atomic_write(Path(sys.argv[1])) as file:
    file.write("half")
    file.flush()
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writer(tmp_path: Path):
    """Another process in the middle of writing ``tmp_path/table``."""
    command = [sys.executable, "-c", WRITE, str(tmp_path / "table")]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None and process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.wait()


def test_what_a_killed_writer_left_goes_with_the_next_write(
    tmp_path: Path, writer: subprocess.Popen
) -> None:
    left = {path.name for path in tmp_path.iterdir()}
    writer.kill()
    writer.wait()
    assert {path.name for path in tmp_path.iterdir()} == left == {".table.tmp"}
    with files.atomic_write(tmp_path / "table") as file:
        file.write("x")  # shorter than what was left
    assert [path.name for path in tmp_path.iterdir()] == ["table"]
    assert (tmp_path / "table").read_text() == "x"


def test_a_living_writer_keeps_its_temporary_file(tmp_path: Path, writer: subprocess.Popen) -> None:
    with files.atomic_write(tmp_path / "table") as file:
        file.write("mine")
        assert len(list(tmp_path.glob(".table*.tmp"))) == 2
    assert (tmp_path / "table").read_text() == "mine"
    assert (tmp_path / ".table.tmp").read_text() == "half"
    writer.communicate("")
    assert (tmp_path / "table").read_text() == "half"
    assert [path.name for path in tmp_path.iterdir()] == ["table"]


def test_writers_that_died_side_by_side(tmp_path: Path) -> None:
    for name in (".table.tmp", ".table.2.tmp", ".table.3.tmp"):
        (tmp_path / name).write_text("left")
    with files.atomic_write(tmp_path / "table") as file:
        file.write("new")
    assert [path.name for path in tmp_path.iterdir()] == ["table"]


def test_a_place_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*args: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(files.fcntl, "flock", none)
    with files.atomic_write(tmp_path / "table") as file:
        file.write("x")
    assert (tmp_path / "table").read_text() == "x"
    assert {path.name for path in tmp_path.iterdir()} <= {"table", ".table.tmp"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_costs_neither_the_lock_nor_its_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The lock's write fails, and would fail again when a buffer were written on closing."""

    class Full(io.FileIO):
        def write(self, content: object) -> int:
            raise OSError(number, os.strerror(number))

    def opened(path: Path, mode: str, buffering: int = -1, **text: object):
        assert isinstance(path, Path)
        raw = Full(path, mode.replace("b", ""))
        return raw if buffering == 0 else io.TextIOWrapper(io.BufferedRandom(raw), encoding="utf-8")

    monkeypatch.setattr(Path, "open", opened)
    lock = files.Lock(tmp_path / "lock")
    lock.acquire("out")
    with pytest.raises(UserError, match="being written by another process"):
        files.Lock(tmp_path / "lock").acquire("out")
    lock.release()
    assert not (tmp_path / "lock").exists()
