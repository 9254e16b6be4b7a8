"""A Dask cluster for tests: threads of this process, or a scheduler and workers on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from speechkit.base import log

TESTS = Path(__file__).parent


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


@contextmanager
def in_process(workers: int = 2) -> Iterator[str]:
    """The executor of a cluster of threads; what they note is this process's own."""
    distributed = pytest.importorskip("distributed")
    with (
        pytest.MonkeyPatch.context() as patch,
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=False,
            protocol="tcp",
            dashboard_address=None,
        ) as cluster,
    ):
        patch.setattr(log, "_collected", log._collected)
        yield "dask://" + cluster.scheduler_address.removeprefix("tcp://")


def start(
    folder: Path, workers: int, before: Path | None = None
) -> tuple[list[subprocess.Popen], str]:
    """A scheduler and workers, the first process being the scheduler's, and its address.

    Args:
        folder: for their logs.
        workers: how many.
        before: folder of modules that workers import in place of others.
    """
    paths = [str(path) for path in (before, TESTS.parent, TESTS) if path]
    environment = {**os.environ, "PYTHONPATH": ":".join(paths), "OMP_NUM_THREADS": "1"}
    file = folder / "scheduler.json"

    def launch(*arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]]
        with (folder / f"{arguments[0]}.log").open("ab") as log_file:
            return subprocess.Popen(
                command, env=environment, stdout=log_file, stderr=subprocess.STDOUT, cwd=folder
            )

    loopback = ["--host", "127.0.0.1", "--scheduler-file", str(file), "--no-dashboard"]
    started = [launch("dask_scheduler", "--port", "0", *loopback)]

    def address() -> str:
        try:
            return str(json.loads(file.read_text())["address"]).removeprefix("tcp://")
        except (OSError, ValueError):
            return ""

    wait_for(lambda: bool(address()), 30)
    for _ in range(workers):
        more = ["--nworkers", "1", "--nthreads", "1", "--no-nanny", "--death-timeout", "60"]
        started.append(launch("dask_worker", *loopback, *more))
    return started, address()


@contextmanager
def processes(
    folder: Path, workers: int, before: Path | None = None
) -> Iterator[tuple[list[subprocess.Popen], str]]:
    """The workers' processes and the executor of a cluster of processes, all of them there."""
    distributed = pytest.importorskip("distributed")
    started, address = start(folder, workers, before)
    try:
        if workers:
            with distributed.Client(f"tcp://{address}", set_as_default=False) as client:
                client.wait_for_workers(workers, timeout=30)
        yield started[1:], f"dask://{address}"
    finally:
        for process in started[::-1]:  # workers first
            process.kill()
            process.wait()
