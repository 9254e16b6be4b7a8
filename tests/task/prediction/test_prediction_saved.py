"""The file of predictions: whole lines, what an earlier run left, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speechkit.base.errors import UserError
from speechkit.task.prediction.saved import model_digest, open_saved

MADE = {"task": "t", "model": "m", "cut": 2.0}


def write(path: Path, *rows: dict, **made: object) -> None:
    with open_saved(path, {**MADE, **made}, False) as saved:
        for row in rows:
            saved.append(row, "digest")


def test_lines_are_whole_and_a_torn_one_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.jsonl"
    write(path, {"file": "a", "text": "é"}, {"file": "a", "text": "y"})
    whole = path.read_bytes()
    assert [json.loads(line)["text"] for line in whole.splitlines()] == ["é", "y"]
    for torn in range(1, len(whole), 7):
        path.write_bytes(whole[:torn])
        with open_saved(path, MADE, False) as saved:
            assert len(saved.rows) == whole[:torn].count(b"\n")
        assert path.read_bytes() == whole[: whole[:torn].rfind(b"\n") + 1]
    path.write_bytes(whole + b"\0\0\0")  # after a power cut
    write(path, {"file": "b"})
    assert path.read_bytes().startswith(whole) and path.read_bytes().count(b"\n") == 3
    assert [p.name for p in path.parent.iterdir()] == ["a.jsonl"]


def test_what_was_made_otherwise_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write(path, {"file": "a"})
    before = path.read_bytes()
    for other in ({"cut": 3.0}, {"model": "n"}, {"more": True}):
        (name,) = other
        with pytest.raises(UserError, match=f"{name}: ") as error:
            write(path, **other)
        assert "`force`" in error.value.remedy
        assert path.read_bytes() == before
    with open_saved(path, {"task": "other"}, True) as saved:
        assert saved.rows == {}
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    "content",
    ['{"a": 1}\n', '{"a": 1}', "[\n  {", "notes", "1\n", '{"made_with": 1}\n', "[" * 9999],
)
def test_files_of_others_are_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match="not a prediction"):
        write(path)
    assert path.read_text() == content
    (tmp_path / "b.jsonl").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        write(tmp_path / "b.jsonl")


def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with open_saved(path, MADE, False), pytest.raises(UserError, match="is being written"):
        write(path)


def test_recordings_to_be_made_anew_are_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write(path, {"input": "a"}, {"input": "b"})
    with open_saved(path, MADE, False) as saved:
        saved.drop([("a", "")])
        saved.append({"input": "a", "n": 2}, None)
    assert [json.loads(line)["input"] for line in path.read_text().splitlines()] == ["b", "a"]


def test_a_model_is_its_settings_and_weights(tmp_path: Path) -> None:
    first, second = tmp_path / "x" / "m", tmp_path / "y" / "m"
    for folder in (first, second):
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("a: 1")
        (folder / "manifest.json").write_text(str(folder))
    assert model_digest([first]) == model_digest([second]) != model_digest([first], "other")
    (second / "model.safetensors").write_bytes(b"1")
    assert model_digest([first]) != model_digest([second])
