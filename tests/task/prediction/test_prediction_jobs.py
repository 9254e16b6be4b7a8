"""Recordings of a `predict`: missing ones are told first, each is taken once, standard input."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from speechkit.base.errors import UserError
from speechkit.task.prediction.jobs import STDIN, Job, called, open_inputs


def test_all_missing_recordings_are_named_at_once(tmp_path: Path) -> None:
    there = tmp_path / "there.wav"
    there.touch()
    gone = [tmp_path / f"gone{k}.wav" for k in range(12)]
    with pytest.raises(UserError) as error, open_inputs([Job(f) for f in (*gone, there)], "stop"):
        pass
    assert error.value.problem.startswith("12 of 13 recordings are not there: ")
    assert "gone9.wav, ..." in error.value.problem and "gone10" not in error.value.problem
    with open_inputs([Job(there), Job(gone[0])], "skip") as inputs:
        assert list(inputs.missing) == [Job(gone[0])]
    with (
        pytest.raises(UserError, match=r"gone0\.wav: No such file"),
        open_inputs([Job(gone[0])], "stop"),
    ):
        pass


def test_what_may_not_be_read_is_told_first_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, locked, folder = (tmp_path / name for name in ("a.wav", "b.wav", "c.wav"))
    there.touch()
    locked.touch()
    folder.mkdir()
    monkeypatch.setattr("os.access", lambda file, mode: file != locked)  # root may read all
    with pytest.raises(UserError, match="2 of 3 recordings cannot be read: "):
        open_inputs([Job(there), Job(locked), Job(folder)], "stop").__enter__()
    for file, reason in ((locked, "Permission denied"), (folder, "is a folder")):
        with pytest.raises(UserError, match=rf"{file.name}: {reason}"):
            open_inputs([Job(file)], "stop").__enter__()
    with open_inputs([Job(folder), Job(there)], "skip") as inputs:
        assert list(inputs.missing) == [Job(folder)]


def test_a_pair_of_recording_and_text_is_taken_once(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    file.touch()
    jobs = [Job(file, "one"), Job(file, "two"), Job(file, "one")]
    with open_inputs(jobs, "stop") as inputs:
        assert inputs.jobs == jobs[:2]


def test_standard_input_becomes_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = SimpleNamespace(buffer=io.BytesIO(b"sound"), isatty=lambda: False)
    monkeypatch.setattr("sys.stdin", sent)
    with open_inputs([Job(STDIN, "one"), Job(STDIN, "two")], "stop") as inputs:
        first, second = inputs.jobs
        assert first.audio.read_bytes() == b"sound" and second.audio == first.audio
        assert (first.file, first.stem) == (STDIN, "stdin")
        assert [called(first.file), called("a.wav")] == ["standard input", "a.wav"]
        copy = first.audio
    assert not copy.exists()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(UserError, match="standard input"), open_inputs([Job(STDIN)], "stop"):
        pass
