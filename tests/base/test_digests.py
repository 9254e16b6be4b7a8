"""Digests are computed once, whoever reads a file, and never told of what is no longer there."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechkit.base import audio, digests
from speechkit.base.digests import Digests, sha256, state_of


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read for their digest."""
    found: list[Path] = []
    real = digests.sha256

    def counted(path: Path) -> str:
        found.append(path)
        return real(path)

    monkeypatch.setattr(digests, "sha256", counted)
    return found


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_read_once_by_all_who_share_the_digests(
    tmp_path: Path, reads: list[Path]
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"x" * 3_000_000)
    first, second = Digests(tmp_path / ".digests"), Digests(tmp_path / ".digests")
    wanted = digest(b"x" * 3_000_000)
    assert first.of(path) == first.of(path) == second.of(path) == wanted
    assert Digests(tmp_path / ".digests").known(path, state_of(path)) == wanted
    assert reads == [path]


def test_another_content_of_the_same_size_and_time_is_read_again(tmp_path: Path) -> None:
    path, known = tmp_path / "a.wav", Digests(tmp_path / ".digests")
    path.write_bytes(b"one")
    before = state_of(path)
    assert known.of(path) == digest(b"one")
    path.unlink()
    path.write_bytes(b"two")
    os.utime(path, ns=(before[1], before[1]))
    assert state_of(path)[:2] == before[:2]
    assert known.replaced(path, state_of(path))
    assert known.of(path) == digest(b"two")


@pytest.mark.parametrize("broken", [b"garbage\n", b'["ab', b'["x", "y", [1]]\n', b"\xff\n", b"3\n"])
def test_broken_lines_are_passed_over(tmp_path: Path, reads: list[Path], broken: bytes) -> None:
    path, file = tmp_path / "a.wav", tmp_path / ".digests"
    path.write_bytes(b"one")
    file.write_bytes(broken)
    assert Digests(file).of(path) == digest(b"one")
    assert Digests(file).of(path) == digest(b"one")
    if broken.endswith(b"\n"):
        assert reads == [path]


def test_a_place_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"one")
    (tmp_path / "file").write_text("")
    assert Digests(tmp_path / "file" / ".digests").of(path) == digest(b"one")


def test_names_of_any_bytes(tmp_path: Path, reads: list[Path]) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9\n.wav")
    path.write_bytes(b"one")
    for _ in range(2):
        assert Digests(tmp_path / ".digests").of(path) == digest(b"one")
    assert reads == [path]


def test_decoding_digests_on_the_way_only_where_asked(tmp_path: Path, reads: list[Path]) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(800), 8000)
    audio.read(path)
    assert not reads
    known = Digests(tmp_path / ".digests")
    with digests.collected(known):
        audio.read(path, start=0.01, end=0.02)
        audio.read(path)
    audio.read(path)
    assert reads == [path]
    assert known.known(path, state_of(path)) == digest(path.read_bytes())
    line = json.loads((tmp_path / ".digests").read_text())
    assert line == [digest(path.read_bytes()), str(path), list(state_of(path))]


def test_pipes_and_devices_have_no_digest(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match="not a regular file"):
            sha256(path)
