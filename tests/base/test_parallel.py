"""The map over utterances: order, bounds, failures, dying workers, Ctrl-C, Dask."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import dask_workers
import numpy as np
import pytest
import work_functions as work
from dask_workers import wait_for

from speechkit.base import log, parallel
from speechkit.base.errors import UserError
from speechkit.base.parallel import WorkerError, map_items, read_ahead

TESTS = Path(__file__).parents[1]

SLEEPER = """
import sys
from speechkit.base import signals
from speechkit.cli.main import main
from speechkit.cli import main as program
import work_functions
from speechkit.base.parallel import map_items
if __name__ == "__main__":
    signals.listen_always()

    def command():
        items = [(sys.argv[1], i) for i in range(8)]
        for _ in map_items(work_functions.report_pid_and_sleep, items, jobs=2):
            pass
    program.app.command("sleep")(command)
    sys.exit(main(["sleep"]))
"""


@pytest.fixture(autouse=True)
def hear(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("speechkit"), "propagate", True)
    caplog.set_level(logging.INFO, "speechkit")
    log.forget_notes()


def values(function: Callable, items: Sequence, **options: object) -> list:
    return [done.value for done in map_items(function, items, **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize(("jobs", "chunk"), [(1, 1), (2, 1), (2, 3)])
def test_results_come_in_order(jobs: int, chunk: int) -> None:
    assert values(work.slow_first, range(10), jobs=jobs, chunk=chunk) == list(range(10))


def test_nothing_to_do() -> None:
    assert values(work.square, [], jobs=2) == []


def test_at_most_a_window_is_in_flight(tmp_path: Path) -> None:
    window = parallel.IN_FLIGHT_PER_WORKER * 2
    items = [(str(tmp_path), i) for i in range(40)]
    mapped = map_items(work.mark, items, jobs=2)
    for _ in range(3):
        next(mapped)
    time.sleep(0.5)  # workers would run on if they had been given more
    assert 3 <= len(list(tmp_path.iterdir())) <= 3 + window
    mapped.close()
    assert len(list(tmp_path.iterdir())) < 40


@pytest.mark.parametrize("jobs", [1, 2])
def test_failing_item_is_named(jobs: int) -> None:
    with pytest.raises(UserError, match=r"utt3: the file is broken\.") as error:
        values(work.fail_at_3, range(6), jobs=jobs, name=lambda x: f"utt{x}")
    assert error.value.remedy == "Copy it again."


@pytest.mark.parametrize("jobs", [1, 2])
def test_failing_item_is_skipped_and_said(jobs: int, caplog: pytest.LogCaptureFixture) -> None:
    done = list(
        map_items(work.fail_at_3, range(6), jobs=jobs, on_error="skip", name="utt{}".format)
    )
    assert [d.value for d in done] == [0, 1, 2, None, 4, 5]
    assert [d.error for d in done if d.error] == ["the file is broken. Copy it again."]
    assert "skipped utt3: the file is broken." in caplog.text


@pytest.mark.parametrize("jobs", [1, 2])
def test_bug_in_a_worker_keeps_its_traceback(jobs: int) -> None:
    with pytest.raises(WorkerError, match="utt3: ZeroDivisionError") as error:
        values(work.divide_at_3, range(6), jobs=jobs, name=lambda x: f"utt{x}")
    assert "work_functions.py" in str(error.value) and "return 1 / (x - 3)" in str(error.value)


@pytest.mark.parametrize("jobs", [1, 2])
def test_full_disk_is_not_an_items_fault(jobs: int) -> None:
    with pytest.raises(OSError, match="No space left"):
        values(work.full_at_3, range(6), jobs=jobs, on_error="skip")


def test_dying_worker() -> None:
    with pytest.raises(UserError, match="A worker process died while it worked on") as error:
        values(work.die_at_3, range(40), jobs=2)
    assert "-j 1" in error.value.remedy


def test_every_worker_has_one_thread_and_the_parent_keeps_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = values(work.environment, range(6), jobs=2)
    assert len({pid for pid, *_ in found}) == 2
    assert {(threads, torch) for _, threads, torch in found} == {("1", 1)}
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("jobs", [1, 2])
def test_notes_of_workers_are_said_once(jobs: int, caplog: pytest.LogCaptureFixture) -> None:
    values(work.say, range(6), jobs=jobs)
    assert [r.getMessage() for r in caplog.records] == ["said by a worker"]


def test_results_do_not_depend_on_the_number_of_processes() -> None:
    one, two = (values(work.norm, range(8), jobs=jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_unknown_choices() -> None:
    with pytest.raises(UserError, match="`executor` 'ray' is not known"):
        values(work.square, range(3), executor="ray")
    with pytest.raises(UserError, match=r"`on_error` 'skp' is not known\. Did you mean 'skip'\?"):
        values(work.square, range(3), on_error="skp")


# --- signals ---


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def sleeper(tmp_path: Path):
    """A command whose two workers sleep; its process, and the workers' ids."""
    script = tmp_path / "sleeper.py"
    script.write_text(SLEEPER)
    marks = tmp_path / "marks"
    marks.mkdir()
    process = subprocess.Popen(
        [sys.executable, script, marks],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}:{TESTS}"},
        start_new_session=True,
    )
    wait_for(lambda: len(list(marks.iterdir())) == 2, 20)
    yield process, [int(path.name[3:]) for path in marks.iterdir()]
    if process.poll() is None:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("stop", "code", "word"),
    [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Terminated")],
)
def test_a_stop_ends_the_workers_quietly(
    sleeper: tuple[subprocess.Popen, list[int]], stop: int, code: int, word: str
) -> None:
    process, workers = sleeper
    os.killpg(process.pid, stop)  # a terminal, SLURM and Docker signal the whole group
    _, said = process.communicate(timeout=20)
    assert process.returncode == code
    assert word in said and "Traceback" not in said
    wait_for(lambda: not any(map(alive, workers)), 5)


def test_workers_of_a_killed_parent_end(sleeper: tuple[subprocess.Popen, list[int]]) -> None:
    process, workers = sleeper
    assert all(map(alive, workers))
    process.kill()
    wait_for(lambda: not any(map(alive, workers)), 10)


# --- Dask: a real scheduler and two worker processes on loopback ---


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory):
    with dask_workers.processes(tmp_path_factory.mktemp("dask"), 2) as (_, executor):
        yield executor


def test_dask_gives_the_same_results(dask: str) -> None:
    local = values(work.norm, range(20))
    np.testing.assert_array_equal(values(work.norm, range(20), executor=dask, chunk=3), local)


def test_dask_uses_both_workers(dask: str) -> None:
    assert len({pid for pid, *_ in values(work.environment, range(6), executor=dask)}) == 2


def test_workers_read_anew_for_the_next_map(dask: str, tmp_path: Path) -> None:
    """A model of the same folder may be another by then; within a map it is loaded once."""
    model = tmp_path / "model"
    for most, text in enumerate(("old", "new"), start=1):
        model.write_text(text)
        found = values(work.use_loaded, [(model, k) for k in range(8)], executor=dask)
        assert {told for told, _ in found} == {text}
        assert max(loads for _, loads in found) <= most


def test_dask_names_failing_items(dask: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UserError, match=r"utt3: the file is broken\."):
        values(work.fail_at_3, range(6), executor=dask, name=lambda x: f"utt{x}")
    found = values(work.fail_at_3, range(6), executor=dask, on_error="skip")
    assert found == [0, 1, 2, None, 4, 5]
    values(work.say, range(6), executor=dask)
    assert caplog.text.count("said by a worker") == 1


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "nowhere", "127.0.0.1:x", ""])
def test_wrong_dask_address_is_said_quickly(address: str) -> None:
    pytest.importorskip("distributed")
    with socket.socket() as taken:  # bound and not listening: refuses
        taken.bind(("127.0.0.1", 0))
        given = address.format(port=taken.getsockname()[1])
        started = time.monotonic()
        with pytest.raises(UserError, match=f"No Dask scheduler answers at '{given}'"):
            values(work.square, range(3), executor=f"dask://{given}")
        assert time.monotonic() - started < 6


def test_dask_without_workers(tmp_path: Path) -> None:
    with dask_workers.processes(tmp_path, 0) as (_, executor):
        with pytest.raises(UserError, match="has no workers") as error:
            values(work.square, range(3), executor=executor)
        assert f"dask worker tcp://{executor.removeprefix('dask://')}" in error.value.remedy


def test_dask_workers_of_another_version(tmp_path: Path) -> None:
    """The worker imports a package of our name that is not ours."""
    other = tmp_path / "other" / "speechkit"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text('__version__ = "0.0.1"\n')
    with dask_workers.processes(tmp_path, 1, before=other.parent) as (_, executor):
        with pytest.raises(UserError, match=r"has speechkit 0\.0\.1; here it is") as error:
            values(work.square, range(3), executor=executor)
        assert "Install the same version on all machines" in error.value.remedy


def test_dask_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match="'distributed'") as error:
        values(work.square, range(3), executor="dask://127.0.0.1:8786")
    assert "'dask[distributed]>=2024.8'" in error.value.remedy


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_what_all_items_need_is_not_the_fault_of_one(jobs: int, on_error: str) -> None:
    with pytest.raises(UserError) as caught:
        list(map_items(work.need_a_model, range(4), jobs=jobs, on_error=on_error))
    assert caught.value.problem == "The model is not there."
    assert caught.value.remedy == "Copy it."


def test_items_are_read_ahead_in_order_and_not_all_at_once():
    read = []

    def reading(item):
        read.append(item)
        return 10 * item

    ahead = read_ahead(reading, range(20), 2, 4)
    assert next(ahead) == 0
    assert len(read) <= 6
    assert list(ahead) == [10 * item for item in range(1, 20)]


def test_a_failure_while_reading_ahead_is_raised():
    def failing(item):
        if item == 3:
            raise UserError("broken")
        return item

    ahead = read_ahead(failing, range(9), 1, 2)
    with pytest.raises(UserError, match="broken"):
        list(ahead)
