"""Results as JSON, CSV, CTM and TextGrids: as they come, refused in time, the same for any -j."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from speechkit.base.errors import UserError
from speechkit.base.textgrid import Interval, Tier
from speechkit.task.config import StreamConfig
from speechkit.task.prediction import written
from speechkit.task.prediction.jobs import Job, open_inputs
from speechkit.task.prediction.stream import Task, predict
from speechkit.task.prediction.written import Forms

Made = tuple[str, str, int]


def spell(job: Job) -> Made:
    """A task: the letters of a file, which may not be empty."""
    letters = job.audio.read_text()
    if not letters:
        raise UserError(f"{job.audio}: is empty.", "Fill it.")
    return str(job.file), job.text, len(letters)


def lines(row: dict[str, Any]) -> list[Mapping[str, Any]]:
    about = {"file": row["file"], "text": row["text"]}
    letters = [{**about, "letter": k, "late": k > 1} for k in range(row["letters"])]
    return [{**about, "letters": row["letters"]}, *letters]


def tiers(row: dict[str, Any]) -> list[Tier]:
    letters = [Interval(0.1 * k, 0.1 * k + 0.1, f"l{k}", k / 4) for k in range(row["letters"])]
    return [Tier("letters", letters), Tier("pairs", [Interval(0, 0.2, "p")])]


FORMS = Forms(("file", "text"), lines, tiers, ctm=("letters", "pairs"))


def run(jobs: list[Job], save: Path, stop_after: int = -1, forms: Forms = FORMS, **how: Any) -> int:
    wanted = StreamConfig(save=save, **how)
    task = Task(
        name="spelling",
        verb="spelt",
        local=spell,
        in_worker=partial(spell),
        row=lambda m: {"file": m[0], "text": m[1], "letters": m[2], "seconds": 0.1 * m[2] + 0.05},
        restore=lambda row: (row["file"], row["text"], row["letters"]),
        made_with=dict,
        forms=forms,
    )
    count = 0
    with open_inputs(jobs, wanted.on_error) as given:
        stream = predict(task, written.plan(given, save, forms, wanted.force), wanted)
        for count, _ in enumerate(stream, 1):
            if count == stop_after:
                stream.close()
                break
    return count


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    for name, letters in (("a", "xy"), ("b c", "xyz")):
        (tmp_path / f"{name}.wav").write_text(letters)
    a, b = tmp_path / "a.wav", tmp_path / "b c.wav"
    return [Job(a, "one"), Job(b, "two, three"), Job(a, "four")]


def test_a_table(jobs: list[Job], tmp_path: Path) -> None:
    empty = tmp_path / "empty.wav"
    empty.touch()
    run([Job(empty, "no"), *jobs], tmp_path / "t.csv", on_error="skip")
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "text", "letters", "letter", "late", "error"]
    assert rows[0]["error"].endswith("is empty.") and rows[0]["file"] == str(empty)
    assert [row["letters"] for row in rows if row["letters"]] == ["2", "3", "2"]
    assert [row["late"] for row in rows[2:4]] == ["False", "False"]
    assert rows[4]["text"] == "two, three" and len(rows) == 1 + 3 + 4 + 3


def test_a_list_is_whole_also_after_a_stop(jobs: list[Job], tmp_path: Path) -> None:
    assert run(jobs, tmp_path / "t.json", stop_after=2) == 2
    assert [row["letters"] for row in json.loads((tmp_path / "t.json").read_text())] == [2, 3]
    assert run(jobs, tmp_path / "t.csv", stop_after=1) == 1
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 1 + 3
    with pytest.raises(UserError, match=r"t\.csv exists"):
        run(jobs, tmp_path / "t.csv")
    assert run(jobs, tmp_path / "t.csv", force=True) == 3


def test_what_stops_before_a_result_leaves_nothing(jobs: list[Job], tmp_path: Path) -> None:
    jobs[0].file.write_text("")
    for save in (tmp_path / "t.csv", tmp_path / "t.json", tmp_path / "t.ctm", tmp_path / "grids"):
        with pytest.raises(UserError, match="is empty"):
            run(jobs, save)
        assert not save.exists() or not list(save.iterdir())


def test_segments(jobs: list[Job], tmp_path: Path) -> None:
    run(jobs, tmp_path / "t.ctm")
    assert (tmp_path / "t.ctm").read_text().splitlines()[1:4] == [
        "a 1 0.100 0.100 l1 0.2500", "b_c 1 0.000 0.100 l0 0.0000", "b_c 1 0.100 0.100 l1 0.2500",
    ]  # fmt: skip
    run(jobs, tmp_path / "t.pairs.ctm")
    assert (tmp_path / "t.pairs.ctm").read_text().splitlines()[2] == "a_2 1 0.000 0.200 p"


@pytest.mark.parametrize("processes", [1, 2])
def test_a_textgrid_each(jobs: list[Job], tmp_path: Path, processes: int) -> None:
    run(jobs, tmp_path / "grids", processes=processes)
    assert sorted(path.name for path in (tmp_path / "grids").iterdir()) == [
        "a.TextGrid", "a_2.TextGrid", "b c.TextGrid"]  # fmt: skip
    assert '"l2"' in (tmp_path / "grids" / "b c.TextGrid").read_text()
    with pytest.raises(UserError, match=r"a\.TextGrid exists"):
        run(jobs, tmp_path / "grids")
    run(jobs, tmp_path / "grids", force=True)
    run(jobs[:1], tmp_path / "one.TextGrid")
    assert (tmp_path / "one.TextGrid").read_text() == (
        tmp_path / "grids" / "a.TextGrid"
    ).read_text()


def test_what_cannot_be_written(jobs: list[Job], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unknown format"):
        run(jobs, tmp_path / "t.xml")
    with pytest.raises(UserError, match="one TextGrid, of 3 recordings") as error:
        run(jobs, tmp_path / "t.textgrid")
    assert str(tmp_path / "t") in error.value.remedy
    for save in ("t.ctm", "grids"):
        with pytest.raises(UserError, match="nothing of parts"):
            run(jobs, tmp_path / save, forms=Forms((), lines))
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.wav").write_text("xy")
    for save in ("t.ctm", "grids"):
        with pytest.raises(UserError, match="would have the same name"):
            run([*jobs, Job(tmp_path / "more" / "a.wav")], tmp_path / save)
    assert not (tmp_path / "grids").exists()
