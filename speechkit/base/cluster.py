"""A Dask cluster as an executor, and what is said when its scheduler or its workers are gone."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import _lru_cache_wrapper
from typing import Any, TypeVar

import speechkit
from speechkit.base import log
from speechkit.base.errors import MissingDependency, UserError
from speechkit.base.log import logger

CONNECT_S = 5.0
ANSWER_S = 60.0  # of a scheduler that is there, on a machine that is busy
WORKERLESS_S = 120.0  # a cluster without workers is waited for so long
_Cached = TypeVar("_Cached", bound=_lru_cache_wrapper)
_forget: list[Callable[[], None]] = []
_maps: set[str] = set()


class Cluster:
    """A scheduler and its workers.

    Args:
        address: HOST:PORT of the scheduler.
        client: Dask's, connected to it.

    Raises:
        UserError: it has no workers, or one of them runs another version of speechkit.
    """

    def __init__(self, address: str, client: Any) -> None:
        self.address, self._client = address, client
        self._deserted: float | None = None
        self._known: set[str] = set()
        self.workers = self._threads()
        if not self.workers:
            raise UserError(
                f"The Dask scheduler at {address} has no workers.",
                f"Start some with `dask worker tcp://{address}`.",
            )

    def executor(self) -> Executor:
        """Of ``concurrent.futures``; results come as they are, notes with them."""
        executor: Executor = self._client.get_executor(pure=False)
        return executor

    def look(self) -> None:
        """See whether there is still somebody to wait for, and who has come.

        Raises:
            UserError: the scheduler does not answer, all workers have been gone for
                ``WORKERLESS_S``, or one has come with another version of speechkit.
        """
        try:
            reach(self.address)
            threads = self._threads()
        except (OSError, TimeoutError) as error:
            raise UserError(
                f"The Dask scheduler at {self.address} does not answer any more ({error}).",
                "Start it again, with its workers; the same command then takes up what was "
                "finished.",
            ) from error
        now = time.monotonic()
        if threads:
            self._deserted = None
        elif self._deserted is None:
            self._deserted = now
            logger.warning(
                f"No worker is left at the Dask scheduler {self.address}: waiting "
                f"{WORKERLESS_S:.0f} s for others (dask worker tcp://{self.address})."
            )
        elif now - self._deserted >= WORKERLESS_S:
            raise UserError(
                f"The Dask scheduler at {self.address} has had no workers for "
                f"{WORKERLESS_S:.0f} s: all have died (out of memory?) or were stopped.",
                f"Start some with `dask worker tcp://{self.address}`; the same command then takes "
                "up what was finished.",
            )

    def _threads(self) -> int:
        found = self._client.sync(self._client.scheduler.ncores, callback_timeout=ANSWER_S)
        if new := sorted(set(found) - self._known):
            self._take_in(new)
        return sum(found.values())

    def _take_in(self, workers: list[str]) -> None:
        """Refuse workers of another version; the others leave their notes to this process."""
        ask: dict[str, Any] = {"workers": workers, "on_error": "return"}
        # The module travels by its name: each worker says the version of its own.
        for worker, found in self._client.run(getattr, speechkit, "__version__", **ask).items():
            if isinstance(found, OSError):
                continue  # it has gone meanwhile
            if found != speechkit.__version__:
                has = f"speechkit {found}" if isinstance(found, str) else f"no speechkit ({found})"
                raise UserError(
                    f"The Dask worker {worker} has {has}; here it is {speechkit.__version__}.",
                    "Install the same version on all machines, and start the workers again.",
                )
            self._known.add(worker)
        self._client.run(log.collect_notes, **ask)


def reach(address: str) -> None:
    """Raise OSError or ValueError where nobody listens at HOST:PORT.

    Dask itself would try again and again for the whole time-out.
    """
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """The cluster of a scheduler at HOST:PORT.

    Raises:
        UserError: nobody answers there, or it has no workers.
        MissingDependency: Dask's ``distributed`` is not installed.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingDependency("distributed", "cluster") from error
    # It logs tracebacks when a scheduler goes; what has happened is said here.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        reach(address)
        client = Client(f"tcp://{address}", timeout=10, set_as_default=False)
    except (OSError, ValueError, OverflowError) as error:
        raise UserError(
            f"No Dask scheduler answers at '{address}' ({error}).",
            "Start one with `dask scheduler` and give its address: `executor` dask://HOST:PORT.",
        ) from error
    try:
        yield Cluster(address, client)
    finally:
        client.close()


def kept_for_map(cached: _Cached) -> _Cached:
    """Mark a ``lru_cache`` of what a worker reads from files, so that each map reads it anew.

    A worker of a cluster outlives the command: when the next one comes, the model of the same
    folder may be another.
    """
    _forget.append(cached.cache_clear)
    return cached


def begin(of_map: str) -> None:
    """In a worker: forget what it kept, if it has not worked for this map before."""
    if of_map not in _maps:
        _maps.add(of_map)
        for forget in _forget:
            forget()
