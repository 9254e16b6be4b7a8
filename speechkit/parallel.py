"""One ordered map over utterances: local processes, or a Dask cluster.

Results come in the order of the items, at most a window of them is in flight, a failing
item is named, and Ctrl-C ends the workers. Both executors are ``concurrent.futures``
executors, so nothing here schedules anything itself.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Generic, TypeVar

from speechkit import log
from speechkit.errors import MissingDependency, UserError, require_choice
from speechkit.progress import progress

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT_PER_WORKER = 3
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Done(Generic[Item, Result]):
    """One mapped item.

    Args:
        item: what was given.
        value: what the function returned; None if it failed.
        error: the reason of the failure, or None.
    """

    item: Item
    value: Result | None
    error: str | None = None


@dataclass(frozen=True)
class _Failure:
    reason: str
    remedy: str
    trace: str | None  # set for bugs, not for errors of the user's input


class WorkerError(RuntimeError):
    """An unexpected exception in a worker, with the item's name and the worker's traceback."""


def cpu_count() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_items(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    jobs: int = 1,
    executor: str = "local",
    on_error: str = "stop",
    chunk: int = 1,
    name: Callable[[Item], str] = str,
    size: Callable[[Item], int] = lambda item: 1,
    label: str = "",
    unit: str = "utt",
) -> Iterator[Done[Item, Result]]:
    """Apply ``function`` to every item, in parallel, and yield the results in order.

    Args:
        function: importable at the top of a module (it travels to other processes).
        items: what to map over.
        jobs: local processes; 1 works in this process.
        executor: ``local`` or ``dask://HOST:PORT``.
        on_error: ``stop`` raises at the first failing item, ``skip`` yields it with its reason.
        chunk: items sent to a worker at a time.
        name: how an item is called in messages.
        size: how many units of progress an item is.
        label: what the progress line says; empty for no progress.
        unit: unit of the progress.

    Raises:
        UserError: an item failed for a reason that is the user's to mend, or a worker died.
        WorkerError: an item failed for another reason.
    """
    require_choice("--on-error", on_error, ("stop", "skip"))
    total = sum(map(size, items))
    with progress(label or "map", total if label else 0, unit) as advance:
        for item, outcome in _outcomes(function, items, jobs, executor, chunk, name):
            if isinstance(outcome, _Failure):
                _report(item, outcome, on_error, name)
                yield Done(item, None, f"{outcome.reason} {outcome.remedy}".strip())
            else:
                yield Done(item, outcome)
            if label:
                advance(size(item))


def _outcomes(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    jobs: int,
    executor: str,
    chunk: int,
    name: Callable[[Item], str],
) -> Iterator[tuple[Item, Any]]:
    if executor == "local" and (jobs <= 1 or len(items) <= 1):
        for item in items:
            yield item, _run_one(function, item)
        return
    with _open_executor(executor, min(jobs, len(items))) as (pool, workers):
        chunks = (items[i : i + chunk] for i in range(0, len(items), chunk))
        run = partial(_run_chunk, function)
        waiting: deque[tuple[Sequence[Item], Future]] = deque()
        window = max(2, IN_FLIGHT_PER_WORKER * workers)
        for part in islice(chunks, window):
            waiting.append((part, pool.submit(run, part)))
        while waiting:
            part, future = waiting.popleft()
            outcomes, notes = _result(future, part, name)
            for part_next in islice(chunks, 1):
                waiting.append((part_next, pool.submit(run, part_next)))
            for key, message in notes:
                log.note_once(key, message)
            yield from zip(part, outcomes, strict=True)


def _result(future: Future, part: Sequence[Item], name: Callable[[Item], str]) -> Any:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise UserError(
            f"A worker process died while it worked on {name(part[0])} or the utterances near it "
            "(out of memory?).",
            "Run it again with fewer processes (-j 1); finished parts are kept.",
        ) from error


def _run_one(function: Callable[[Item], Result], item: Item) -> Result | _Failure:
    try:
        return function(item)
    except UserError as error:
        return _Failure(error.problem, error.remedy, None)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (28, 122):  # disk full, quota
            raise
        return _Failure(f"{type(error).__name__}: {error}", "", traceback.format_exc())


def _run_chunk(
    function: Callable[[Item], Result], part: Sequence[Item]
) -> tuple[list[Result | _Failure], list[tuple[str, str]]]:
    return [_run_one(function, item) for item in part], log.take_notes()


def _report(item: Item, failure: _Failure, on_error: str, name: Callable[[Item], str]) -> None:
    if on_error == "skip":
        log.logger.warning(f"skipped {name(item)}: {failure.reason}")
    elif failure.trace is None:
        remedy = failure.remedy or "Mend or remove it, or leave it out with --on-error skip."
        raise UserError(f"{name(item)}: {failure.reason}", remedy)
    else:
        raise WorkerError(f"{name(item)}: {failure.reason}\n{failure.trace}")


@contextmanager
def _open_executor(executor: str, jobs: int) -> Iterator[tuple[Executor, int]]:
    """An executor and its number of workers; closed at once on errors and Ctrl-C."""
    if executor == "local":
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(jobs, context, _start_worker, (os.getpid(),))
        with _inherited_by_children():
            pool.submit(_nothing)  # starts all workers (spawn does so at the first task)
        try:
            yield pool, jobs
        except BaseException:
            _kill(pool)
            raise
        pool.shutdown()
    elif executor.startswith("dask://"):
        with _dask(executor.removeprefix("dask://")) as found:
            yield found
    else:
        raise UserError(
            f"--executor '{executor}' is not known.", "Accepted: local, dask://HOST:PORT."
        )


@contextmanager
def _dask(address: str) -> Iterator[tuple[Executor, int]]:
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingDependency("distributed", "cluster") from error
    try:
        client = Client(f"tcp://{address}", timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"No Dask scheduler answers at {address} ({error}).",
            "Start one with `dask scheduler` and give its address: --executor dask://HOST:PORT.",
        ) from error
    try:
        workers = sum(client.nthreads().values())
        if not workers:
            raise UserError(
                f"The Dask scheduler at {address} has no workers.",
                f"Start some with `dask worker tcp://{address}`.",
            )
        client.run(log.collect_notes)
        yield client.get_executor(), workers
    finally:
        client.close()


@contextmanager
def _inherited_by_children() -> Iterator[None]:
    """Workers started inside have one numerical thread each and are born ignoring Ctrl-C."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _nothing() -> None:
    pass


def _start_worker(parent: int) -> None:
    """In a new worker: leave Ctrl-C to the parent, and die with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log.setup()
    log.collect_notes()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _kill(pool: ProcessPoolExecutor) -> None:
    """End the workers now; their work in progress is lost anyway."""
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
