"""Atomic writes, locks, fingerprints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from speechkit import files
from speechkit.errors import UserError

HOLD = """
import sys, time
from pathlib import Path
from speechkit.files import Lock
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


def test_fingerprint_of_small_files_is_content_of_large_ones_date(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"abc")
    large.write_bytes(bytes(files.HASH_UP_TO + 1))
    before = [files.fingerprint(p) for p in (small, large)]
    for path in (small, large):
        os.utime(path, (1, 1))
    after = [files.fingerprint(p) for p in (small, large)]
    assert files.same_fingerprint(before[0], after[0])
    assert not files.same_fingerprint(before[1], after[1])
    small.write_bytes(b"abd")
    assert not files.same_fingerprint(before[0], files.fingerprint(small))
    assert not files.same_fingerprint(None, before[0])


def test_fingerprint_many_sees_names_and_sizes_and_not_the_way_there(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "a.wav").write_bytes(b"12")
    (tmp_path / "link").symlink_to(real)
    one = files.fingerprint_many([real / "a.wav"], real)
    assert one["files"] == 1 and one["size"] == 2
    assert files.fingerprint_many([tmp_path / "link" / "a.wav"], real) == one
    (real / "a.wav").write_bytes(b"123")
    assert files.fingerprint_many([real / "a.wav"], real) != one
    assert files.fingerprint_many([real / "gone.wav"], real)["files"] == 0


def test_fingerprint_of_a_folder_changes_with_its_files(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"1")
    before = files.fingerprint(tmp_path)
    assert files.same_fingerprint(before, files.fingerprint(tmp_path))
    (tmp_path / "more").write_bytes(b"1")
    assert not files.same_fingerprint(before, files.fingerprint(tmp_path))
