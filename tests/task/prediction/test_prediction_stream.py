"""Predictions as they come: order, stops, resumed runs, outputs that are whole or absent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from speechkit.base.errors import UserError
from speechkit.task.config import StreamConfig
from speechkit.task.prediction import outputs
from speechkit.task.prediction.jobs import Job, open_inputs
from speechkit.task.prediction.stream import Task, predict


def length(made: list[str] | None, job: Job) -> tuple[str, int]:
    """A task: the length of a file, which may not be empty."""
    if made is not None:
        made.append(job.file.name)
    size = job.audio.stat().st_size
    if not size:
        raise UserError(f"{job.audio}: is empty.", "Fill it.")
    for part in outputs.parts(job):
        part.write_text(job.file.name)
    return job.file.name, size


@dataclass
class Place:
    """Recordings, and a command over them."""

    root: Path
    made: list[str] = field(default_factory=list)
    model: str = "m"
    endings: tuple[str, ...] = ()

    def file(self, name: str, content: str) -> Path:
        path = self.root / name
        path.write_text(content)
        return path

    @property
    def save(self) -> Path:
        return self.root / "out.jsonl"

    def run(self, *names: str, stop_after: int = -1, **how: Any) -> list[tuple[str, int]]:
        """Results; ``stop_after`` ends it there, as Ctrl-C does."""
        self.made.clear()
        task = Task(
            name="length",
            verb="measured",
            local=partial(length, self.made),
            in_worker=partial(length, None),
            row=lambda made: {"input": str(self.root / made[0]), "length": made[1]},
            restore=lambda row: (Path(row["input"]).name, row["length"]),
            made_with=lambda: {"model": self.model},
            named="input",
        )
        wanted, found = StreamConfig(**how), []
        with open_inputs([Job(self.root / name) for name in names], wanted.on_error) as inputs:
            stream = predict(task, outputs.plan(inputs, self.endings, None), wanted)
            for one in stream:
                found.append(one.made)
                if len(found) == stop_after:
                    stream.close()
                    break
        return found

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.save.read_text().splitlines()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path)
    for k in range(6):
        found.file(f"{k}.wav", "x" * (k + 1))
    return found


NAMES = tuple(f"{k}.wav" for k in range(6))
WANTED = [(name, k + 1) for k, name in enumerate(NAMES)]


def test_a_stopped_run_goes_on_and_ends_as_an_unbroken_one(place: Place) -> None:
    assert place.run(*NAMES, save=place.save) == WANTED
    unbroken = place.save.read_bytes()
    place.save.unlink()
    assert place.run(*NAMES, save=place.save, stop_after=2) == WANTED[:2]
    assert unbroken.startswith(place.save.read_bytes()) and len(place.lines()) == 2
    place.save.write_bytes(unbroken[: len(place.save.read_bytes()) + 30])  # killed while writing
    assert place.run(*NAMES, save=place.save) == WANTED
    assert place.made == list(NAMES[2:])
    assert place.save.read_bytes() == unbroken
    assert place.run(*NAMES, save=place.save) == WANTED and place.made == []


def test_processes_change_nothing(place: Place) -> None:
    place.file("3.wav", "")
    here = place.run(*NAMES, save=place.save, on_error="skip")
    alone = place.save.read_bytes()
    place.save.unlink()
    assert place.run(*NAMES, save=place.save, on_error="skip", processes=2) == here
    assert place.save.read_bytes() == alone and place.made == []


def test_changed_audio_and_another_model(place: Place) -> None:
    place.run(*NAMES[:3], save=place.save)
    place.file("1.wav", "changed")
    assert place.run(*NAMES[:3], save=place.save)[1] == ("1.wav", 7)
    assert place.made == ["1.wav"]
    place.run("5.wav", save=place.save)  # other recordings join them
    assert [Path(row["input"]).name for row in place.lines()] == [
        "0.wav", "2.wav", "1.wav", "5.wav"]  # fmt: skip
    place.model = "n"
    with pytest.raises(UserError, match="model: m there, n now"):
        place.run(*NAMES, save=place.save)
    assert len(place.lines()) == 4
    assert len(place.run(*NAMES, save=place.save, force=True)) == len(place.lines()) == 6
    assert place.made == list(NAMES)


def test_broken_recordings_stop_or_are_listed(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.file("2.wav", "")
    names = (*NAMES[:4], "gone.wav")
    with pytest.raises(UserError, match=r"gone\.wav"):
        place.run(*names, save=place.save)
    assert not place.save.exists()
    with pytest.raises(UserError, match=r"2\.wav: is empty"):
        place.run(*names[:4], save=place.save)
    assert [row["length"] for row in place.lines()] == [1, 2]
    assert len(place.run(*names, save=place.save, on_error="skip")) == 3
    assert "Skipped: 2 of 5 recordings." in caplog.text
    assert [("error" in row, row["made_with"]) for row in place.lines()] == [
        (k in (2, 4), {"model": "m"}) for k in range(5)
    ]
    before = place.save.read_bytes()
    assert len(place.run(*names, save=place.save, on_error="skip")) == 3
    assert place.made == [] and place.save.read_bytes() == before
    with pytest.raises(UserError, match=r"2\.wav: is empty"):  # known from the file
        place.run(*names[:4], save=place.save)
    place.file("2.wav", "mended")
    assert place.run(*names[:4], save=place.save)[2] == ("2.wav", 6)
    (place.root / "0.wav").unlink()  # its result is not lost with it
    place.run(*names[:4], save=place.save, on_error="skip")
    assert place.lines()[0]["length"] == 1
    with pytest.raises(UserError, match="could be measured"):
        place.run("gone.wav", on_error="skip")


def test_outputs_are_whole_or_absent_and_made_once(place: Place) -> None:
    place.endings = ("_a.txt", "_b.txt")

    def written() -> set[str]:
        return {path.name for path in place.root.iterdir() if ".txt" in path.name}

    place.run(*NAMES[:3], save=place.save, stop_after=2)
    assert written() == {"0_a.txt", "0_b.txt", "1_a.txt", "1_b.txt"}
    (place.root / "1_b.txt").unlink()  # killed between a line and its outputs
    assert place.run(*NAMES[:3], save=place.save) == WANTED[:3]
    assert place.made == ["1.wav", "2.wav"] and len(written()) == 6
    with pytest.raises(UserError, match=r"0_a\.txt exists"):
        place.run("0.wav")
    assert place.run("0.wav", force=True) == WANTED[:1]
    (place.root / ".5_a.txt.part").write_text("of a killed run")
    place.file("5.wav", "")
    with pytest.raises(UserError):
        place.run("5.wav")
    assert len(written()) == 6
    with pytest.raises(UserError, match="both be written"):
        (place.root / "d").mkdir()
        place.file("d/0.wav", "x")
        with open_inputs([Job(place.root / n) for n in ("0.wav", "d/0.wav")], "stop") as inputs:
            outputs.plan(inputs, ("_a.txt",), place.root)


def test_bugs_are_not_skipped(place: Place) -> None:
    def broken(job: Job) -> None:
        raise ZeroDivisionError

    task: Task = Task("t", "made", broken, broken, dict, dict, dict)
    with (
        open_inputs([Job(place.root / "0.wav")], "skip") as inputs,
        pytest.raises(RuntimeError, match="ZeroDivisionError"),
    ):
        list(predict(task, inputs, StreamConfig("skip")))
