"""``mine-hard --executor dask://...``: the same files as here, whatever becomes of the workers."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import dask_workers
import pytest
from hardref import speech_like, write_prosody, write_set, write_vectors

from speechkit.mining import block_search, search


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of 96 utterances, which are mined in blocks of 7 and parts of 20."""
    vectors, speakers = speech_like(8, 12, 8, seed=3)
    gender = {name: "fm"[k % 2] for k, name in enumerate(sorted(set(speakers)))}
    utts = write_set(tmp_path, speakers, gender)
    write_vectors(tmp_path, utts, vectors)
    write_prosody(tmp_path, utts, 150 + 20 * vectors[:, 0])
    monkeypatch.setattr(block_search, "MOST_ROWS", 7)
    monkeypatch.setattr(search, "PIVOTS_PER_PART", 20)
    return tmp_path


@pytest.fixture(scope="module")
def dask():
    with dask_workers.in_process() as executor:
        yield executor


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "manifest.json"}


def mine(run, root: Path, *more: object, param: str = "xvector"):
    return run("mine-hard", "--param", param, "-C", root, *more)


@pytest.mark.parametrize(
    "how",
    [
        ("--store", "pairs"),
        ("--store", "thresholds", "--same-gender"),
        ("--candidates", 40, "--seed", 3),
        ("--param", "pitch", "--pm", 0.1, "--candidates", 40),
    ],
)
def test_a_cluster_writes_the_same_bytes(run, root, dask, how, monkeypatch):
    here = mine(run, root, *how, "--name", "here")
    mined = []
    monkeypatch.setattr(search, "_side_by_side", lambda *given: mined.append(given) or iter(()))
    there = mine(run, root, *how, "--name", "there", "--executor", dask)
    assert (here.code, there.code, mined) == (0, 0, []), there.err
    first, second = sorted((root / "exp" / "hard").iterdir())
    assert contents(first) == contents(second)


def test_a_killed_worker_costs_its_blocks_only(run, root, tmp_path, monkeypatch):
    assert mine(run, root, "--name", "here").code == 0
    save = search._save_part
    with dask_workers.processes(tmp_path, 2) as (workers, executor):

        def save_and_kill(path, tables):
            save(path, tables)
            if workers[0].poll() is None:
                os.kill(workers[0].pid, signal.SIGKILL)
                workers[0].wait()

        monkeypatch.setattr(search, "_save_part", save_and_kill)
        done = mine(run, root, "--executor", executor)
        assert workers[1].poll() is None
    assert done.code == 0, done.err
    hard = root / "exp" / "hard"
    assert contents(hard / "xvector_pm0.04") == contents(hard / "xvector_pm0.04-here")


def test_a_stopped_run_is_taken_up_and_its_problem_is_gone(run, root, dask, monkeypatch):
    assert mine(run, root, "--name", "here").code == 0
    save = search._save_part

    def interrupted(path, tables):
        save(path, tables)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(search, "_save_part", interrupted)
        assert mine(run, root, "--executor", dask).code == 130
    partial = root / "exp" / "hard" / ".xvector_pm0.04.partial"
    assert not list(partial.glob("problem-*"))
    (partial / "problem-of-a-killed-run").mkdir()
    (partial / "problem-of-a-killed-run" / "unit.npy").touch()
    again = mine(run, root, "--executor", dask)
    assert again.code == 0 and "taking up an unfinished run" in again.err
    hard = root / "exp" / "hard"
    assert contents(hard / "xvector_pm0.04") == contents(hard / "xvector_pm0.04-here")


def test_bad_addresses_leave_nothing_behind(run, root):
    done = mine(run, root, "--executor", "dask://127.0.0.1:1")
    assert done.code == 2 and "No Dask scheduler answers at '127.0.0.1:1'" in done.err
    done = mine(run, root, "--executor", "ray")
    assert done.code == 2 and "--executor 'ray' is not known" in done.err
    assert not [p for p in (root / "exp" / "hard").iterdir() if p.is_dir()]


def test_workers_without_the_disk_are_told_what_they_need(run, root, dask, monkeypatch):
    is_file = Path.is_file
    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_file", lambda path: path.name != "rows.npz" and is_file(path))
        done = mine(run, root, "--executor", dask)
    assert done.code == 2 and "A worker does not see the folder" in done.err
    assert "under the same path" in done.err
