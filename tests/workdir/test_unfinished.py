"""Unfinished work is taken up or kept; it is discarded only where that was asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from speechkit.base.errors import UserError
from speechkit.workdir import Output
from speechkit.workdir.manifest import READ_UP_TO, read_manifest
from speechkit.workdir.unfinished import note_finished, with_batch_size


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "input").write_text("1 2 3\n")
    (tmp_path / "a.wav").write_bytes(b"12")
    (tmp_path / "large").write_bytes(bytes(READ_UP_TO + 1))
    return tmp_path


def output(root: Path, **changes: Any) -> Output:
    options: dict[str, Any] = {
        "command": "train x",
        "params": {"epochs": 20, "batch_size": 8},
        "inputs": [root / "input", root / "large"],
        "audio": [root / "a.wav"],
        "resume": True,
        "training": True,
        **changes,
    }
    return Output(root / "exp" / "x" / "seed0", **options)


@contextmanager
def dies(root: Path, **changes: Any) -> Iterator[Output]:
    with pytest.raises(KeyboardInterrupt), output(root, **changes) as out:
        yield out
        raise KeyboardInterrupt


@pytest.fixture
def begun(root: Path) -> Path:
    """An unfinished training with a state."""
    with dies(root) as out:
        out.part("last.ckpt").write_text("state")
        note_finished(out.part("last.ckpt"), "epoch 7 of 20")
    return root


def state(root: Path) -> Path:
    return root / "exp" / "x" / ".seed0.partial" / ".scratch" / "last.ckpt"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"params": {"epochs": 30, "batch_size": 8}}, "epochs: 20 there, 30 now"),
        ({"params": {"epochs": 20, "batch_size": 4}}, "batch_size: 8 there, 4 now"),
        ({"command": "import"}, "command: train x there, import now"),
        ({"audio": []}, "audio changed since"),
    ],
)
def test_another_command_is_refused_and_nothing_is_lost(
    begun: Path, changes: dict, said: str
) -> None:
    with pytest.raises(UserError) as refused, output(begun, **changes):
        pytest.fail("began anew")
    assert "an unfinished run (epoch 7 of 20)" in refused.value.problem
    assert said in refused.value.problem and "`force`" in refused.value.remedy
    assert ("`continue`" in refused.value.remedy) == ("batch_size" in said)
    assert state(begun).read_text() == "state"
    with output(begun) as out:
        assert out.resumed
    with pytest.raises(UserError, match="other parameters"), output(begun, params={}):
        pass


@pytest.mark.parametrize("name", ["input", "a.wav", "large"])
def test_an_input_of_another_content_is_refused_a_touched_one_is_not(
    begun: Path, name: str
) -> None:
    os.utime(begun / name, (1, 1))
    with dies(begun) as out:
        assert out.resumed
    content = (begun / name).read_bytes()
    (begun / name).write_bytes(b"9" + content[1:])
    with pytest.raises(UserError, match=f"{'audio' if name == 'a.wav' else name} changed since"):
        output(begun).__enter__()
    (begun / name).write_bytes(content)
    with output(begun) as out:
        assert out.resumed


def test_a_key_that_cannot_be_read_loses_nothing(begun: Path) -> None:
    (state(begun).parent.parent / ".key.json").write_text('{"command": "train x", "params": [1]}')
    with pytest.raises(UserError, match="command: not known there"):
        output(begun).__enter__()
    assert state(begun).exists()


def test_force_discards(begun: Path) -> None:
    with output(begun, params={"epochs": 30}, force=True) as out:
        assert not out.resumed and not out.scratch.exists()


@pytest.mark.parametrize("kept", [[], ["half.tmp"]])
def test_a_folder_without_finished_parts_is_replaced_without_asking(
    root: Path, kept: list[str]
) -> None:
    with dies(root) as out:
        for name in kept:
            out.part(name).write_text("half")
        out.scratch.mkdir(exist_ok=True)
    with output(root, params={"epochs": 30}) as out:
        assert not out.resumed


def test_parts_of_a_stage_that_does_not_resume_are_no_finished_work(root: Path) -> None:
    """As a killed one leaves them: nobody could take them up."""
    out = output(root, resume=False)
    out.__enter__()
    out.part("voices").write_text("x")
    out._lock.release()
    with output(root, params={"epochs": 30}, resume=False):
        pass


def test_parts_of_an_older_version_are_counted(begun: Path) -> None:
    partial = state(begun).parent.parent
    state(begun).with_name("finished.txt").unlink()
    key = json.loads((partial / ".key.json").read_text())
    old = {name: key[name] for name in ("command", "params", "inputs")}
    (partial / ".key.json").write_text(json.dumps(old))
    with pytest.raises(UserError, match=r"unfinished run \(finished parts: 1\)"):
        output(begun, params={}).__enter__()
    with output(begun) as out:
        assert out.resumed


def test_going_on_with_another_batch_size_is_recorded(
    begun: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    smaller = {"params": {"epochs": 20, "batch_size": 4}, "other_batch_size": True}
    with dies(begun, **smaller) as out:
        assert out.resumed and out.part("last.ckpt").read_text() == "state"
        note_finished(out.part("last.ckpt"), "epoch 9 of 20")
    with pytest.raises(UserError, match="epochs: 20 there, 5 now"):
        output(begun, params={"epochs": 5, "batch_size": 4}, other_batch_size=True).__enter__()
    with output(begun, params=smaller["params"]) as out:  # now the run of this size
        assert out.resumed
    manifest = read_manifest(out.final)
    assert manifest is not None and manifest["params"] == smaller["params"]
    told = [{"changed": ["batch_size: 8 there, 4 now"], "after": "epoch 7 of 20"}]
    assert manifest["continued"] == told
    monkeypatch.setattr("speechkit.base.log.logger.propagate", True)
    with output(begun, params=smaller["params"]) as out:
        assert out.up_to_date
    assert "It went on after epoch 7 of 20 with batch_size: 8 there, 4 now." in caplog.text


def test_which_batch_sizes_a_run_can_go_on_with() -> None:
    for old, now, same in (
        ({"batch_size": 8}, {"batch_size": 4}, True),
        ({"batch_size": 8, "epochs": 2}, {"batch_size": 4, "epochs": 3}, False),
        ({"chunks": {"batch_size": 8}}, {"chunks": {"batch_size": 4}}, True),
        # what an optimizer's step holds must not change where its steps are what is counted
        ({"batch_size": 8, "accumulate": 1}, {"batch_size": 4, "accumulate": 2}, True),
        ({"batch_size": 8, "accumulate": 1}, {"batch_size": 4, "accumulate": 1}, False),
    ):
        before = json.dumps(old)
        assert (with_batch_size(old, now) == now) is same
        assert json.dumps(old) == before


@pytest.mark.parametrize("at", ["the parts go", "the key goes", "the rename"])
def test_a_run_killed_as_it_ends_is_finished_by_the_next(
    begun: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name = {
        "the parts go": ("speechkit.base.files", "remove_tree"),
        "the key goes": ("pathlib.Path", "unlink"),
        "the rename": ("pathlib.Path", "rename"),
    }[at]
    final = begun / "exp" / "x" / "seed0"

    def killed(*_: Any, **__: Any) -> None:
        raise SystemExit  # nothing is cleaned up behind it, see below

    out = output(begun)
    with out, monkeypatch.context() as patch:
        out.path.joinpath("weights").write_text("trained")
        patch.setattr(out._unfinished, "remove_unless_kept", lambda: None)
        patch.setattr(f"{owner}.{name}", killed)
        with pytest.raises(SystemExit):
            out._commit()
        out.up_to_date = True  # the dead process does nothing more
    assert not final.exists() and out.path.exists()
    with pytest.raises(UserError, match="all of it"), output(begun, params={"epochs": 9}):
        pass
    with output(begun) as again:
        assert again.up_to_date
    assert (final / "weights").read_text() == "trained"
    assert sorted(p.name for p in final.iterdir()) == ["manifest.json", "weights"]
    assert not out.path.exists()


def test_parts_outside_an_output_are_not_noted(tmp_path: Path) -> None:
    note_finished(tmp_path / "last.ckpt", "epoch 1 of 2")
    assert list(tmp_path.iterdir()) == []
