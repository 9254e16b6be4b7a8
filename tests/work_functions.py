"""Functions that the tests of the parallel map send to other processes."""

from __future__ import annotations

import errno
import os
import time
from functools import lru_cache
from pathlib import Path

import numpy as np

from speechkit.base import cluster, errors, log
from speechkit.base.errors import UserError


def square(x: int) -> int:
    return x * x


def slow_first(x: int) -> int:
    time.sleep(0.3 if x == 0 else 0)
    return x


def mark(item: tuple[str, int]) -> int:
    folder, x = item
    (Path(folder) / str(x)).touch()
    return x


def fail_at_3(x: int) -> int:
    if x == 3:
        raise UserError("the file is broken.", "Copy it again.")
    return x


def divide_at_3(x: int) -> float:
    return 1 / (x - 3)


def die_at_3(x: int) -> int:
    if x == 3:
        os._exit(9)
    return x


def full_at_3(x: int) -> int:
    if x == 3:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return x


def environment(x: int) -> tuple[int, str | None, int]:
    import torch

    time.sleep(0.2)  # so that every worker gets an item
    return os.getpid(), os.environ.get("OMP_NUM_THREADS"), torch.get_num_threads()


def say(x: int) -> int:
    log.note_once("note", "said by a worker")
    return x


def norm(x: int) -> np.ndarray:
    return np.random.default_rng(x).standard_normal(1000)


def report_pid_and_sleep(item: tuple[str, int]) -> int:
    folder, x = item
    (Path(folder) / f"pid{os.getpid()}").touch()
    time.sleep(60)
    return x


def need_a_model(x: int) -> int:
    with errors.needed_by_all():
        raise UserError("The model is not there.", "Copy it.")


_loads: list[str] = []


@cluster.kept_for_map
@lru_cache(maxsize=1)
def load(path: Path) -> tuple[str, int]:
    """A file's text, and how many were loaded by this process."""
    _loads.append(path.read_text())
    return _loads[-1], len(_loads)


def use_loaded(item: tuple[Path, int]) -> tuple[str, int]:
    return load(item[0])
