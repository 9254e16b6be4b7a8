"""One ordered map over utterances: local processes, or a Dask cluster.

Results come in the order of the items, at most a window of them is in flight, a failing
item is named, and Ctrl-C or SIGTERM ends the workers. Both executors are ``concurrent.futures``
executors, so nothing here schedules anything itself.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
import traceback
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Generic, TypeVar

from speechkit.base import cluster, log, signals
from speechkit.base.errors import (
    ConfigError,
    SharedError,
    UserError,
    is_of_one_file,
    of_the_machine,
    require_choice,
)
from speechkit.base.log import progress
from speechkit.base.signals import environment

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT_PER_WORKER = 3
_LOOK_EVERY_S = 5.0
_one_at_a_time = threading.Lock()
_ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}


@dataclass(frozen=True)
class MapResult(Generic[Item, Result]):
    """One mapped item.

    Args:
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
    shared: bool = False  # not of the item


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
) -> Iterator[MapResult[Item, Result]]:
    """Apply ``function`` to every item, in parallel, and yield the results in order.

    Args:
        function: importable at the top of a module (it travels to other processes).
        jobs: local processes; 1 works in this process.
        executor: ``local`` or ``dask://HOST:PORT``.
        on_error: ``stop`` raises at the first failing item, ``skip`` yields it with its reason.
        chunk: items sent to a worker at a time.
        name: how an item is called in messages.
        size: how many units of progress an item is.
        label: what the progress line says; empty for no progress.

    Raises:
        UserError: an item failed for a reason that is the user's to mend, a worker died, or
            (whatever ``on_error`` says) what all items need cannot be had.
        WorkerError: an item failed for another reason.
    """
    require_choice("on_error", on_error, ("stop", "skip"))
    total = sum(map(size, items)) if label else 0
    with progress(label, total, unit) as advance:
        for item, outcome in _outcomes(function, items, jobs, executor, chunk, name):
            if isinstance(outcome, _Failure):
                _report(item, outcome, on_error, name)
                yield MapResult(item, None, f"{outcome.reason} {outcome.remedy}".strip())
            else:
                yield MapResult(item, outcome)
            advance(size(item))


def read_ahead(
    function: Callable[[Item], Result], items: Sequence[Item], threads: int, most: int
) -> Iterator[Result]:
    """``function`` of every item in order, by threads, of ``most`` items at a time."""
    waiting = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        futures = deque(pool.submit(function, item) for item in islice(waiting, most))
        try:
            while futures:
                result = futures.popleft().result()
                futures += [pool.submit(function, item) for item in islice(waiting, 1)]
                yield result
        finally:
            for future in futures:
                future.cancel()


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
    with _open_pool(executor, min(jobs, len(items))) as pool:
        chunks = (items[i : i + chunk] for i in range(0, len(items), chunk))
        run = partial(_run_chunk, function, uuid.uuid4().hex)
        waiting: deque[tuple[Sequence[Item], Future]] = deque()
        window = max(2, IN_FLIGHT_PER_WORKER * pool.workers)

        def submit(count: int) -> None:
            for part in islice(chunks, count):
                with _deaths_named(waiting[0][0] if waiting else part, name, pool):
                    waiting.append((part, pool.executor.submit(run, part)))

        submit(window)
        while waiting:
            part, future = waiting.popleft()
            with _deaths_named(part, name, pool):
                outcomes, notes = pool.wait(future)
            submit(1)
            for key, message in notes:
                log.note_once(key, message)
            yield from zip(part, outcomes, strict=True)


@contextmanager
def _deaths_named(part: Sequence[Item], name: Callable[[Item], str], pool: _Pool) -> Iterator[None]:
    """UserError in place of what the executors raise when a worker process dies."""
    try:
        yield
    except (Exception, CancelledError) as error:
        module = type(error).__module__.partition(".")[0]
        if not isinstance(error, BrokenExecutor | CancelledError) and module != "distributed":
            raise
        if pool.look is not None:
            pool.look()  # it may be the scheduler, and no worker
        raise UserError(
            f"A worker process died while it worked on {name(part[0])} or the utterances near it "
            "(out of memory?).",
            "Run it again with fewer processes (-j 1), or look into the log of the cluster.",
        ) from error


def _run_one(function: Callable[[Item], Result], item: Item) -> Result | _Failure:
    try:
        return function(item)
    except UserError as error:
        return _Failure(error.problem, error.remedy, None, isinstance(error, SharedError))
    except Exception as error:
        end = of_the_machine(error)
        if end is not None and not is_of_one_file(error):  # no other item would fare better
            raise
        if end is not None:
            return _Failure(end.problem, end.remedy, None)
        return _Failure(f"{type(error).__name__}: {error}", "", traceback.format_exc())


def _run_chunk(
    function: Callable[[Item], Result], of_map: str, part: Sequence[Item]
) -> tuple[list[Result | _Failure], list[tuple[str, str]]]:
    with _one_at_a_time:  # a Dask worker may have threads, and models keep what they work on
        cluster.begin(of_map)
        return [_run_one(function, item) for item in part], log.pop_notes()


def _report(item: Item, failure: _Failure, on_error: str, name: Callable[[Item], str]) -> None:
    if failure.shared:
        raise UserError(failure.reason, failure.remedy)
    if on_error == "skip":
        log.logger.warning(f"skipped {name(item)}: {failure.reason}")
    elif failure.trace is None:
        remedy = failure.remedy or "Mend or remove it, or leave it out with `on_error` skip."
        raise UserError(f"{name(item)}: {failure.reason}", remedy)
    else:
        raise WorkerError(f"{name(item)}: {failure.reason}\n{failure.trace}")


@dataclass(frozen=True)
class _Pool:
    """An executor with its workers.

    Args:
        look: raises UserError where no result can come any more; None: the executor says so itself.
    """

    executor: Executor
    workers: int
    look: Callable[[], None] | None = None

    def wait(self, future: Future) -> Any:
        """The result of a task."""
        while self.look is not None and wait([future], _LOOK_EVERY_S).not_done:
            self.look()
        return future.result()


@contextmanager
def _open_pool(executor: str, jobs: int) -> Iterator[_Pool]:
    """An executor; closed at once on errors and stops."""
    if executor == "local":
        pool = ProcessPoolExecutor(jobs, _QuietSpawn(), _start_worker, (os.getpid(),))
        try:
            yield _Pool(pool, jobs)
        except BaseException:
            _kill(pool)
            raise
        pool.shutdown()
    elif executor.startswith("dask://"):
        with cluster.connected(executor.removeprefix("dask://")) as found:
            yield _Pool(found.executor(), found.workers, found.look)
    else:
        raise ConfigError(
            "executor", f"'{executor}' is not known.", "Accepted: local, dask://HOST:PORT."
        )


def require_executor(executor: str) -> None:
    """Check it before anything is written.

    Raises:
        UserError: it is unknown, does not answer, or is of no use as it is.
    """
    if executor != "local":
        with _open_pool(executor, 1):
            pass


class _QuietProcess(multiprocessing.context.SpawnProcess):
    def start(self) -> None:
        try:
            with environment(**_ONE_THREAD), signals.kept_back():
                super().start()
        except BaseException:
            if self.pid is not None:  # the pool does not know it yet, and could not end it
                self.kill()
            raise


class _QuietSpawn(multiprocessing.context.SpawnContext):
    """Spawned processes; a pool starts them one by one, whenever a task finds none idle."""

    Process = _QuietProcess


def _start_worker(parent: int) -> None:
    """In a new worker: leave Ctrl-C and SIGTERM to the parent, and die with it."""
    signals.leave_to_parent()
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
    for process in processes:  # before the pool takes away what they are starting with
        process.kill()
    pool.shutdown(wait=False, cancel_futures=True)
