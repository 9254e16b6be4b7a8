"""Groups of seeds trained to the end in threads, with checkpoints."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

import torch

from speechkit.files import atomic_write
from speechkit.training.stacked import SeedGroup, State
from speechkit.training.weights import read_checkpoint

_BLOCK = 5  # epochs between checkpoints
_TOGETHER = 2  # seeds that fit the cache of a core


def arrange(
    states: Mapping[int, State | None],
    workers: int,
    device: torch.device,
    together: int = _TOGETHER,
) -> list[list[int]]:
    """Seeds in groups: on CUDA all in one, on the CPU few enough for the cache of a core.

    Args:
        states: seed -> what an earlier run left of it.
        workers: threads.
        device: where.
        together: seeds of a group on the CPU, at most.

    Returns:
        Lists of seeds; those of a list are at the same epoch.
    """
    seeds = sorted(states)
    count = (
        1 if device.type == "cuda" else max(min(len(seeds), workers), -(-len(seeds) // together))
    )
    size = -(-len(seeds) // count)
    groups = [seeds[first : first + size] for first in range(0, len(seeds), size)]
    found: list[list[int]] = []
    for group in groups:  # a run that was killed may have saved only some of a group
        by_epoch: dict[int, list[int]] = {}
        for seed in group:
            by_epoch.setdefault((states[seed] or {"epoch": 0})["epoch"], []).append(seed)
        found += by_epoch.values()
    return found


def run(
    groups: Sequence[SeedGroup],
    files: Mapping[int, Path],
    workers: int,
    advance: Callable[[int], None],
) -> None:
    """Train groups to the end in threads, a few epochs at a time, those furthest behind first.

    Args:
        groups: what to train.
        files: seed -> where its state is saved.
        workers: threads; on the CPU each computes with one.
        advance: told of every finished epoch of a seed.
    """
    stop = threading.Event()
    threads = torch.get_num_threads()
    waiting = [group for group in groups if not group.finished]
    running: dict[Future, SeedGroup] = {}
    try:
        with ThreadPoolExecutor(workers, initializer=_single) as pool:
            try:
                while waiting or running:
                    waiting.sort(key=lambda group: group.epoch, reverse=True)
                    while waiting and len(running) < workers:
                        group = waiting.pop()
                        running[pool.submit(group.advance, _BLOCK, stop)] = group
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        group = running.pop(future)
                        advance(future.result() * len(group.seeds))
                        save(group, files)
                        if not group.finished:
                            waiting.append(group)
            except BaseException:
                stop.set()
                raise
    finally:
        torch.set_num_threads(threads)


def _single() -> None:
    torch.set_num_threads(1)


def save(group: SeedGroup, files: Mapping[int, Path]) -> None:
    """Write the state of each seed."""
    for seed, state in zip(group.seeds, group.states(), strict=True):
        packed = io.BytesIO()
        torch.save(state, packed)
        with atomic_write(files[seed], "wb") as file:
            file.write(packed.getbuffer())


def restore(file: Path) -> State | None:
    """The state that an earlier run saved, if there is one."""
    return read_checkpoint(file) if file.exists() else None
