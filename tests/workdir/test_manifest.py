"""Inputs are known again by content; dates decide only where nothing else is known."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from speechkit.base.digests import Digests
from speechkit.base.errors import UserError
from speechkit.workdir import manifest
from speechkit.workdir.manifest import READ_UP_TO, Inputs


def of_old_version(path: Path) -> dict:
    """A fingerprint as versions without digests of large files wrote it."""
    stat = path.stat()
    found: dict = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    if stat.st_size <= 1 << 20:
        found["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def of_old_audio(paths: list[Path], near: Path) -> dict:
    digest, size = hashlib.sha256(), 0
    for path in sorted(paths):
        stat = path.stat()
        name = os.path.relpath(path, near)
        digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
        size += stat.st_size
    return {"files": len(paths), "size": size, "sha256": digest.hexdigest()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two clips, a large table, a small one, and a folder."""
    root = tmp_path / "work"
    (root / "exp" / "model").mkdir(parents=True)
    (root / "wav").mkdir()
    (root / "wav" / "a.wav").write_bytes(b"12")
    (root / "wav" / "b.wav").write_bytes(b"34")
    (root / "large").write_bytes(bytes(READ_UP_TO + 1))
    (root / "small").write_bytes(b"abc")
    (root / "exp" / "model" / "weights").write_bytes(b"1")
    return root


def inputs(root: Path) -> Inputs:
    audio = sorted((root / "wav").iterdir())
    paths = [root / "large", root / "small", root / "exp" / "model"]
    return Inputs(paths, audio, root / "exp" / "out" / "x")


def read(root: Path) -> dict:
    found = inputs(root)
    found.read()
    return found.as_dict()


def touch(root: Path) -> None:
    for path in root.rglob("*"):
        os.utime(path, (1, 1))


def test_touched_and_copied_files_are_the_same(root: Path) -> None:
    before = read(root)
    assert inputs(root).changed(before) == []
    touch(root)
    assert inputs(root).changed(before) == []
    copy = root.with_name("copy")
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".digests"))
    touch(copy)
    assert inputs(copy).changed(before) == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("wav/a.wav", b"13", "audio"),
        ("wav/a.wav", b"123", "audio"),
        ("wav/c.wav", b"", "audio"),
        ("large", b"1" + bytes(READ_UP_TO), "../../large"),
        ("small", b"abd", "../../small"),
        ("exp/model/weights", b"2", "../model"),
        ("exp/model/more", b"1", "../model"),
    ],
)
def test_another_content_is_found(root: Path, name: str, content: bytes, said: str) -> None:
    before = read(root)
    path = root / name
    dates = path.stat() if path.exists() else None
    path.write_bytes(content)
    assert inputs(root).changed(before) == [said]
    if dates is not None:  # also where size and date are kept
        os.utime(path, ns=(dates.st_atime_ns, dates.st_mtime_ns))
        assert inputs(root).changed(before) == [said]


def test_swapped_clips_are_found(root: Path) -> None:
    before = read(root)
    (root / "wav" / "a.wav").rename(root / "wav" / "c")
    (root / "wav" / "b.wav").rename(root / "wav" / "a.wav")
    (root / "wav" / "c").rename(root / "wav" / "b.wav")
    assert inputs(root).changed(before) == ["audio"]


def test_a_missing_input_and_a_new_one(root: Path) -> None:
    before = read(root)
    assert inputs(root).changed({**before, "../gone": {"size": 1}}) == ["../gone"]
    del before["audio"]
    assert inputs(root).changed(before) == ["audio"]


def test_nothing_is_read_where_sizes_and_dates_are_known(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read(root)
    monkeypatch.setattr(Digests, "of", lambda *_: pytest.fail("read"))
    assert inputs(root).changed(before) == []
    (root / ".digests").unlink()  # a working directory that was moved, or is read-only
    assert inputs(root).changed(before) == []


def test_manifests_of_older_versions(root: Path) -> None:
    near = root / "exp" / "out"
    clips = sorted((root / "wav").iterdir())
    old = {
        "../../large": of_old_version(root / "large"),
        "../../small": of_old_version(root / "small"),
        "../model": of_old_audio([root / "exp/model/weights"], root / "exp/model"),
        "audio": of_old_audio(clips, near),
    }
    assert inputs(root).changed(old) == []
    new = read(root)  # an older version finds all that it compares
    assert {name: {k: new[name][k] for k in found} for name, found in old.items()} == old
    touch(root)
    assert inputs(root).changed(old) == ["../../large", "../model", "audio"]


def test_a_file_that_changes_while_the_stage_runs_is_not_vouched_for(root: Path) -> None:
    running = inputs(root)
    (root / "wav" / "a.wav").write_bytes(b"changed meanwhile")
    running.read()
    assert "content" not in running.as_dict()["audio"]
    assert inputs(root).changed(running.as_dict()) == ["audio"]


def test_the_way_there_does_not_matter(root: Path) -> None:
    (root.parent / "link").symlink_to(root)
    one, other = (
        manifest.of_many([way / "wav" / "a.wav"], root, Digests(root / ".digests"))
        for way in (root, root.parent / "link")
    )
    assert one.dated == other.dated and one.content(True) == other.content(True)


def test_pipes_and_devices_are_not_read(tmp_path):
    """Reading them may never end; a stage itself names an audio file that is one."""
    os.mkfifo(tmp_path / "fifo")
    sound = tmp_path / "a.wav"
    sound.write_bytes(b"12")
    with pytest.raises(UserError, match="fifo is not a file"):
        Inputs([tmp_path / "fifo"], [], tmp_path / "exp/x")
    with pytest.raises(UserError, match="zero is not a file"):
        Inputs([Path("/dev/zero")], [], tmp_path / "exp/x")
    found = Inputs([], [sound, tmp_path / "fifo"], tmp_path / "exp/x")
    found.read()
    assert found.as_dict()["audio"]["files"] == 1


def test_other_parameters_are_named_also_where_they_are_empty() -> None:
    old, new = {"track": "test", "epochs": 2}, {"track": "", "epochs": 2, "init": "a"}
    assert manifest.changed(old, new) == [
        "init: unset there, a now",
        "track: test there, empty now",
    ]
