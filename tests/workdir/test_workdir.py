"""Outputs are all or nothing, up to date or not, and survive being killed."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from speechkit.base import files
from speechkit.base.errors import UserError
from speechkit.workdir import Output, WorkDir
from speechkit.workdir.manifest import read_manifest

STAGE = """
import os, signal, sys
from pathlib import Path
from speechkit.workdir import Output
root, kill, resume = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "resume"
with Output(root / "exp" / "stage", "stage", {"n": 4}, [root / "input"], resume=resume) as out:
    rows = []
    for i in range(4):
        part = out.part(str(i)) if resume else None
        if part is None or not part.exists():
            print("computed", i, flush=True)
            if part:
                part.write_text(str(i * i))
        rows.append(str(i * i))
        (out.path / "table.tsv").write_text("\\n".join(rows))
        if kill == str(i):
            os.kill(os.getpid(), signal.SIGKILL)
if kill == "after":
    print("end")
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "input").write_text("1 2 3\n")
    return tmp_path


@pytest.fixture(autouse=True)
def hear(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("speechkit"), "propagate", True)
    caplog.set_level(logging.INFO, "speechkit")


def run(root: Path, fail: BaseException | None = None, **changes: object) -> bool:
    """A stage that writes one table; False if it was up to date."""
    options: dict = {"params": {"pm": 0.04, "set": "train"}, "inputs": [root / "input"], **changes}
    with Output(root / "exp" / "hard" / "x", "mine-hard", **options) as out:
        if out.up_to_date:
            return False
        (out.path / "table.tsv").write_text("utt\tvalue\n")
        if fail is not None:
            raise fail
        out.counts["utterances"] = 3
    return True


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def final(root: Path) -> Path:
    return root / "exp" / "hard" / "x"


def test_output_is_complete_with_its_manifest(root: Path) -> None:
    assert run(root)
    manifest = read_manifest(final(root))
    assert manifest is not None
    assert manifest["command"] == "mine-hard" and manifest["params"] == {"pm": 0.04, "set": "train"}
    assert manifest["counts"] == {"utterances": 3}
    assert manifest["outputs"] == {"table.tsv": 10}
    assert manifest["versions"]["speechkit"]
    assert list(manifest["inputs"]) == ["../../input"]
    assert names_in(final(root).parent) == ["x"]  # no lock, no partial folder
    assert names_in(final(root)) == ["manifest.json", "table.tsv"]


def test_same_command_is_up_to_date(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(root)
    before = (final(root) / "manifest.json").read_bytes()
    assert not run(root)
    assert "is up to date" in caplog.text
    assert (final(root) / "manifest.json").read_bytes() == before


def test_failure_leaves_nothing(root: Path) -> None:
    with pytest.raises(ValueError):
        run(root, fail=ValueError())
    assert names_in(final(root).parent) == []
    run(root)
    (root / "input").write_text("other")
    with pytest.raises(KeyboardInterrupt):
        run(root, fail=KeyboardInterrupt())
    assert (final(root) / "table.tsv").exists()  # the old output stays whole
    assert names_in(final(root).parent) == ["x"]


def test_changed_parameters_are_refused_by_name(root: Path) -> None:
    run(root)
    changed = {"pm": 0.02, "set": "train"}
    with pytest.raises(UserError, match=r"pm: 0\.04 there, 0\.02 now") as refused:
        run(root, params=changed)
    assert "`force`" in refused.value.remedy
    assert run(root, params=changed, force=True)
    manifest = read_manifest(final(root))
    assert manifest is not None and manifest["params"] == changed


def test_another_command_is_refused(root: Path) -> None:
    run(root)
    with (
        pytest.raises(UserError, match="command: mine-hard there, train now"),
        Output(final(root), "train", {"pm": 0.04, "set": "train"}),
    ):
        pass


def test_changed_input_runs_again_touched_one_does_not(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(root)
    os.utime(root / "input", (1, 1))
    assert not run(root)
    (root / "input").write_text("1 2 4\n")
    assert run(root)
    assert "../../input changed since it was made" in caplog.text


def test_changed_audio_runs_again(root: Path) -> None:
    wav = root / "a.wav"
    wav.write_bytes(b"12")
    run(root, audio=[wav])
    assert not run(root, audio=[wav])
    wav.write_bytes(b"123")
    assert run(root, audio=[wav])


@pytest.mark.parametrize("damage", ["unlink", "truncate"])
def test_damaged_output_runs_again(root: Path, damage: str) -> None:
    run(root)
    table = final(root) / "table.tsv"
    if damage == "unlink":
        table.unlink()
    else:
        os.truncate(table, 3)
    assert run(root)
    assert table.read_text() == "utt\tvalue\n"


@pytest.mark.parametrize("manifest", [None, "{", "[1, 2]", '{"name": "web app"}'])
def test_foreign_folder_is_refused(root: Path, manifest: str | None) -> None:
    final(root).mkdir(parents=True)
    (final(root) / "thesis.txt").write_text("precious")
    if manifest is not None:
        (final(root) / "manifest.json").write_text(manifest)
    with pytest.raises(UserError, match="speechkit did not make it"):
        run(root)
    assert (final(root) / "thesis.txt").read_text() == "precious"


def test_missing_input_is_the_users_error(root: Path) -> None:
    with pytest.raises(UserError, match="gone does not exist"):
        run(root, inputs=[root / "gone"])


def test_moved_working_directory_is_still_up_to_date(root: Path) -> None:
    (root / "w").mkdir()
    (root / "input").rename(root / "w" / "input")
    run(root / "w")
    (root / "w").rename(root / "elsewhere")
    assert not run(root / "elsewhere")
    (root / "link").symlink_to(root / "elsewhere")
    assert not run(root / "link")


def test_touched_and_copied_audio_is_up_to_date(root: Path) -> None:
    wav = root / "a.wav"
    wav.write_bytes(b"12")
    run(root, audio=[wav])
    assert read_manifest(final(root))["inputs"]["audio"]["content"]  # type: ignore[index]
    os.utime(wav, (1, 1))
    assert not run(root, audio=[wav])
    shutil.copy(wav, root / "copy")
    (root / "copy").replace(wav)
    assert not run(root, audio=[wav])
    wav.write_bytes(b"13")
    assert run(root, audio=[wav])


def test_two_runs_at_once(root: Path) -> None:
    with (
        Output(final(root), "mine-hard", {}),
        pytest.raises(UserError, match=f"is being written by process {os.getpid()}"),
    ):
        run(root)


def test_cut_between_the_two_renames(root: Path) -> None:
    run(root)
    old = final(root).with_name(".x.old")
    final(root).rename(old)
    assert not run(root)  # put back
    shutil.copytree(final(root), old)
    assert not run(root)  # the new one had arrived: the old one is removed
    assert names_in(final(root).parent) == ["x"]


def test_disk_full_at_the_manifest_leaves_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files, "fsync_tree", full)
        with pytest.raises(OSError, match="No space left"):
            run(root)
    assert names_in(final(root).parent) == []
    assert run(root)


def test_disk_full_at_the_end_keeps_the_parts_of_a_resumable_stage(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "fsync_tree", full)
    with pytest.raises(OSError), Output(final(root), "stage", {}, resume=True) as out:
        out.part("0").write_text("done")
    monkeypatch.undo()
    with Output(final(root), "stage", {}, resume=True) as out:
        assert out.resumed and out.part("0").read_text() == "done"
    assert names_in(final(root)) == ["manifest.json"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_what_is_up_to_date_is_so_on_a_full_disk(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Not even the lock's file can be made."""
    run(root)

    def full(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.Lock, "acquire", full)
    assert not run(root)
    with pytest.raises(OSError, match=os.strerror(number)):
        run(root, params={"pm": 1, "set": "train"}, force=True)


def test_unwritable_place(root: Path) -> None:
    (root / "exp").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="Cannot create the folder"):
        run(root)


def stage(root: Path, kill: str, mode: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", STAGE, root, kill, mode], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("mode", ["resume", "again"])
def test_sigkill_leaves_no_output_and_the_next_run_ends_equal(root: Path, mode: str) -> None:
    whole = root / "unbroken"
    whole.mkdir()
    shutil.copy(root / "input", whole)
    assert stage(whole, "no", mode).returncode == 0
    killed = stage(root, "2", mode)
    assert killed.returncode == -signal.SIGKILL
    assert not (root / "exp" / "stage").exists()
    (root / "exp" / ".stage.partial" / "half.tsv").write_text("of a dead run")
    done = stage(root, "no", mode)
    assert done.returncode == 0, done.stderr
    computed = [line for line in done.stdout.splitlines() if line.startswith("computed")]
    assert computed == (["computed 3"] if mode == "resume" else [f"computed {i}" for i in range(4)])
    assert names_in(root / "exp") == ["stage"]
    names = names_in(root / "exp" / "stage")
    assert names == ["manifest.json", "table.tsv"]
    table = (root / "exp" / "stage" / "table.tsv").read_bytes()
    assert table == (whole / "exp" / "stage" / "table.tsv").read_bytes()


def test_workdir_names_what_is_there(workdir: Path) -> None:
    work = WorkDir(workdir)
    assert work.sets() == ["train"]
    assert work.data("train") == workdir / "data" / "train"
    with pytest.raises(UserError, match=r"no set 'test' .* Sets found: train\."):
        work.data("test")
    with pytest.raises(UserError, match="cannot be the name of a set"):
        work.data("")
    with pytest.raises(UserError, match=r"No sets were found\."):
        WorkDir(workdir / "gone").data("train")
    assert work.exp("prosody", "train", name="wide") == workdir / "exp" / "prosody" / "train-wide"
    with pytest.raises(UserError, match="Make it with: speechkit extract-prosody"):
        work.require(work.exp("prosody"), "speechkit extract-prosody")
    assert work.require(workdir / "data", "") == workdir / "data"


def test_manifest_is_readable_json(root: Path) -> None:
    run(root, params={"path": Path("a"), "list": (1, 2), "none": None})
    assert not run(root, params={"path": Path("a"), "list": (1, 2), "none": None})
    assert json.loads((final(root) / "manifest.json").read_text())["params"]["list"] == [1, 2]
