"""A Dask cluster whose workers or scheduler are gone: said, and not waited for without end."""

import logging
import socket
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

import speechkit
from speechkit.base import cluster, parallel
from speechkit.base.errors import UserError


@pytest.fixture
def scheduler():
    """The address at which somebody listens, and its socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}", server


def client(threads, versions=None):
    """A stand-in for Dask's; ``threads`` are those of each worker, now, ``versions`` other ones."""

    def sync(function, callback_timeout):
        return function()

    def run(function, *given, workers, on_error):
        assert on_error == "return"
        if function is not getattr:
            return dict.fromkeys(workers)
        return {w: (versions or {}).get(w, speechkit.__version__) for w in workers}

    scheduler = SimpleNamespace(ncores=lambda: dict(threads))
    return SimpleNamespace(sync=sync, run=run, scheduler=scheduler)


def test_all_workers_die(scheduler, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("speechkit"), "propagate", True)
    threads = {"tcp://a": 2, "tcp://b": 2}
    found = cluster.Cluster(scheduler[0], client(threads))
    assert found.workers == 4
    found.look()
    threads.clear()
    found.look()
    found.look()
    told = {id(record) for record in caplog.records}  # a handler may hear of each twice
    assert len(told) == 1 and "No worker is left at the Dask scheduler 127.0.0.1" in caplog.text
    threads["tcp://c"] = 1  # another has come
    found.look()
    monkeypatch.setattr(cluster, "WORKERLESS_S", 0.0)
    threads.clear()
    found.look()
    with pytest.raises(UserError, match="has had no workers for 0 s") as error:
        found.look()
    assert f"dask worker tcp://{scheduler[0]}" in error.value.remedy


@pytest.mark.parametrize(
    ("version", "said"),
    [("0.0.1", "has speechkit 0.0.1"), (ModuleNotFoundError("No module"), "has no speechkit")],
)
def test_workers_that_come_later_are_asked_for_their_version(scheduler, version, said):
    threads = {"tcp://a": 2}
    found = cluster.Cluster(scheduler[0], client(threads, {"tcp://b": version}))
    found.look()
    threads["tcp://b"] = 2
    with pytest.raises(UserError, match=f"worker tcp://b {said}"):
        found.look()


def test_a_worker_that_dies_when_it_is_asked(scheduler):
    found = cluster.Cluster(scheduler[0], client({"tcp://a": 2}, {"tcp://a": OSError("gone")}))
    assert found.workers == 2


def test_the_scheduler_dies(scheduler):
    address, server = scheduler
    found = cluster.Cluster(address, client({"tcp://a": 2}))
    server.close()
    with pytest.raises(UserError, match=f"scheduler at {address} does not answer any more"):
        found.look()


@pytest.mark.parametrize("end", ["silence", "cancelled"])
def test_a_map_ends_with_what_the_look_finds(monkeypatch, end):
    """Where a result never comes, and where Dask cancels it."""
    future, looks = Future(), []
    if end == "cancelled":
        future.set_exception(CancelledError())

    def look():
        looks.append(1)
        if len(looks) == (3 if end == "silence" else 1):
            raise UserError("The scheduler is gone.")

    @contextmanager
    def opened(executor, jobs):
        yield parallel._Pool(SimpleNamespace(submit=lambda *given: future), 1, look)

    monkeypatch.setattr(parallel, "_open_pool", opened)
    monkeypatch.setattr(parallel, "_LOOK_EVERY_S", 0.01)
    with pytest.raises(UserError, match=r"The scheduler is gone\."):
        list(parallel.map_items(abs, [1, 2], executor="dask://somewhere:1"))
