"""``speechkit status``: each state is told, with its reason, and nothing is changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from speechkit.workdir import Output, WorkDir
from speechkit.workdir import status as module
from speechkit.workdir.status import Status, by_model, status
from speechkit.workdir.unfinished import note_finished


@pytest.fixture
def work(tmp_path: Path) -> WorkDir:
    """A set, a stage that reads it, two seeds that read that, and an evaluation."""
    (tmp_path / "corpus").write_text("speech")
    make(tmp_path, "data/train", "prepare", ["corpus"])
    make(tmp_path, "exp/gop/train", "extract-gop", ["data/train/table"])
    for seed in (0, 1):
        make(tmp_path, f"exp/emotion/x/fold0/seed{seed}", "train", ["exp/gop/train"])
    make(tmp_path, "exp/emotion/x/eval/folds", "evaluate", ["exp/emotion/x/fold0/seed0/table"])
    return WorkDir(tmp_path)


def make(root: Path, name: str, command: str, inputs: list[str]) -> None:
    with Output(root / name, command, {}, [root / one for one in inputs]) as out:
        (out.path / "table").write_text(name)
        out.counts["utterances"] = 1200


def told(work: WorkDir) -> dict[str, tuple[str, str]]:
    return {one.path: (one.state, ", ".join([one.done, *one.why])) for one in status(work)}


def test_kinds_and_up_to_date(work: WorkDir) -> None:
    (work.root / "data" / "mine").mkdir()
    (work.root / "data" / "mine" / "wav.scp").write_text("a a.wav\n")
    found = [(one.kind, one.path, one.state) for one in status(work)]
    assert found == [
        ("sets", "data/mine", "made elsewhere"),
        ("sets", "data/train", "up to date"),
        ("stages", "exp/gop/train", "up to date"),
        ("models", "exp/emotion/x/fold0/seed0", "up to date"),
        ("models", "exp/emotion/x/fold0/seed1", "up to date"),
        ("evaluations", "exp/emotion/x/eval/folds", "up to date"),
    ]


def test_seeds_stand_together_while_they_agree(work: WorkDir) -> None:
    def shown() -> list[tuple[str, list[tuple[str, str]]]]:
        return [(name, [(what, one.details) for what, one in parts]) for name, parts in by_model(
            one for one in status(work) if one.kind == "models"
        )]  # fmt: skip

    assert shown() == [("emotion/x", [("2 seeds and folds", "1,200 utterances")])]
    (work.root / "exp/emotion/x/fold0/seed1/table").write_text("another text")
    damaged = "exp/emotion/x/fold0/seed1/table"
    assert shown() == [
        ("emotion/x", [("fold0/seed0", "1,200 utterances"), ("fold0/seed1", damaged)])
    ]
    stages = by_model(one for one in status(work) if one.kind == "stages")
    assert [(name, [what for what, _ in parts]) for name, parts in stages] == [("gop/train", [""])]


def test_reasons_beyond_three_are_counted() -> None:
    one = Status("sets", "data/x", "stale", why=["a", "b", "c", "d", "e"], done="1 of 2")
    assert one.details == "1 of 2, a, b, c, 2 more"
    assert Status("sets", "data/x", "up to date", counts={"mixtures": 1}).details == "1 mixture"


def test_stale_names_what_changed_and_goes_on(work: WorkDir) -> None:
    (work.root / "data/train/table").write_text("another text")
    found = told(work)
    assert found["data/train"] == ("stale", ", data/train/table")  # its own file is damaged
    assert found["exp/gop/train"] == ("stale", ", data/train/table")
    assert found["exp/emotion/x/fold0/seed1"] == ("stale", ", exp/gop/train is stale")
    assert found["exp/emotion/x/eval/folds"][1] == ", exp/emotion/x/fold0/seed0 is stale"
    (work.root / "corpus").unlink()
    assert told(work)["data/train"][1] == ", corpus is gone, data/train/table"


def test_another_date_alone_is_compared_by_content(work: WorkDir) -> None:
    before = {path: path.read_bytes() for path in work.root.rglob("*") if path.is_file()}
    os.utime(work.root / "corpus", (1, 1))
    assert told(work)["data/train"][0] == "up to date"
    assert {p: p.read_bytes() for p in work.root.rglob("*") if p.is_file()} == before


def test_large_files_are_not_read(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "corpus").write_bytes(bytes(2 << 20))  # more than is always read
    make(tmp_path, "data/train", "prepare", ["corpus"])
    os.utime(tmp_path / "corpus", (1, 1))
    monkeypatch.setattr(module, "_READ_UP_TO", 1 << 20)
    work = WorkDir(tmp_path)
    assert told(work)["data/train"] == ("stale", ", corpus (another date)")
    monkeypatch.undo()
    assert told(work)["data/train"][0] == "up to date"


def test_running_and_half_done(work: WorkDir, run) -> None:
    final = work.root / "exp/emotion/x/fold1/seed0"
    with pytest.raises(KeyboardInterrupt), Output(final, "train", {}, [], resume=True) as out:
        note_finished(out.part("last.ckpt"), "epoch 3 of 20")
        state, why = told(work)["exp/emotion/x/fold1/seed0"]
        holder = f"process {os.getpid()} on {os.uname().nodename}"
        assert (state, why) == ("running", f"epoch 3 of 20, {holder}")
        raise KeyboardInterrupt
    assert told(work)["exp/emotion/x/fold1/seed0"] == ("half done", "epoch 3 of 20")
    shown = run("status", "-C", work.root).out
    assert "fold1/seed0  half done: epoch 3 of 20" in shown
    assert "2 seeds and folds  up to date: 1,200 utterances" in shown
    for name in ("test", "test_2mix"):
        make(work.root, f"exp/compare/separation/{name}", "compare", [])
    for seed in (0, 1):
        make(work.root, f"exp/separation/y/seed{seed}", "train", [])
    with Output(work.root / "data/test_2mix", "mix", {}, []) as out:
        out.counts.update(utterances=30, mixtures=1000)
    shown = run("status", "-C", work.root).out
    assert "2 seeds  up to date" in shown and "test_2mix  up to date: 1,000 mixtures" in shown
    assert "compare/separation/test_2mix  up to date" in shown
    data = json.loads(run("status", "-C", work.root, "--json").out)
    assert {"kind", "path", "state", "why", "done", "command"} <= set(data[0])


def test_a_report_is_stale_once_an_output_is_newer(work: WorkDir) -> None:
    page = work.root / "report" / "index.html"
    page.parent.mkdir()
    page.write_text("page")
    assert told(work)["report/index.html"][0] == "up to date"
    os.utime(page, (1, 1))
    state, why = told(work)["report/index.html"]
    assert state == "stale" and "exp/gop/train is newer" in why and "data" not in why


def test_an_empty_folder(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    words = [sys.executable, "-m", "speechkit", "status", "-C"]
    done = subprocess.run([*words, empty], capture_output=True, text=True, check=True)
    assert "nothing yet" in done.stdout
