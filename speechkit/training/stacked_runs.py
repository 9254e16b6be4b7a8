"""Groups of seeds trained to the end in threads, with checkpoints."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from speechkit.training.stacked import SeedGroup, State
from speechkit.training.weights import read_checkpoint, write_checkpoint

_BLOCK = 5  # epochs between checkpoints
_TOGETHER = 2  # seeds that fit the cache of a core

Made = TypeVar("Made", bound=SeedGroup)


@dataclass(frozen=True)
class Company:
    """Seeds that are trained in one, also those among them that are finished already.

    A seed comes out equal to the byte only in the company that it has in an unbroken run, so
    a run that was killed brings the same ones together again.

    Args:
        seeds: which.
        file: where their state is saved: beside the output of the first that is not finished,
            which is the last to be put in place (see :func:`speechkit.task.trained.outputs`).
        states: what an earlier run saved, in the same order; empty for nothing.
    """

    seeds: list[int]
    file: Path
    states: list[State]

    def load(self, group: Made) -> Made:
        """``group``, gone on to where the earlier run was."""
        if self.states:
            group.load(self.states)
        return group


def arrange(
    seeds: Sequence[int],
    files: Mapping[int, Path],
    workers: int,
    device: torch.device,
    together: int = _TOGETHER,
) -> list[Company]:
    """Seeds in groups: on CUDA all in one, on the CPU few enough for the cache of a core.

    Args:
        seeds: all of the command.
        files: seed that is not finished -> where a state may be saved.
        workers: threads.
        device: where.
        together: seeds of a group on the CPU, at most.

    Returns:
        Groups that have a seed to be finished: those of the killed run first, then those that
        an unbroken run would make.
    """
    found: list[Company] = []
    covered: set[int] = set()
    for first, file in files.items():
        saved = read_checkpoint(file) if file.exists() else {"seeds": []}
        own = saved.get("seeds", [first])  # earlier versions saved every seed by itself
        if own and covered.isdisjoint(own) and set(own) <= set(seeds):
            found.append(Company(own, file, saved.get("states", [saved])))
            covered.update(own)
    seeds = sorted(seeds)
    count = (
        1 if device.type == "cuda" else max(min(len(seeds), workers), -(-len(seeds) // together))
    )
    size = -(-len(seeds) // count)
    for first in range(0, len(seeds), size):
        group = seeds[first : first + size]
        if pending := [seed for seed in files if seed in group and seed not in covered]:
            found.append(Company(group, files[pending[0]], []))
    return found


def run(
    groups: Sequence[tuple[SeedGroup, Path]],
    workers: int,
    advance: Callable[[int], None],
) -> None:
    """Train groups to the end in threads, a few epochs at a time, those furthest behind first.

    Args:
        groups: what to train, and where the state of each is saved.
        workers: threads; on the CPU each computes with one.
        advance: told of every finished epoch of a seed.
    """
    stop = threading.Event()
    threads = torch.get_num_threads()
    waiting = [pair for pair in groups if not pair[0].finished]
    running: dict[Future, tuple[SeedGroup, Path]] = {}
    try:
        with ThreadPoolExecutor(workers, "", torch.set_num_threads, (1,)) as pool:
            try:
                while waiting or running:
                    waiting.sort(key=lambda pair: pair[0].epoch, reverse=True)
                    while waiting and len(running) < workers:
                        group, file = waiting.pop()
                        running[pool.submit(group.advance, _BLOCK, stop)] = group, file
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        group, file = running.pop(future)
                        made = future.result()
                        advance(made * len(group.seeds))
                        save(group, file)
                        _tell(group, made)
                        if not group.finished:
                            waiting.append((group, file))
            except KeyboardInterrupt:
                stop.set()
                for future, (group, file) in running.items():
                    future.result()  # the epochs that it has done are kept
                    save(group, file)
                raise
            except BaseException:
                stop.set()
                raise
    finally:
        torch.set_num_threads(threads)


def _tell(group: SeedGroup, epochs: int) -> None:
    """Show the rows of the last epochs."""
    for tell, rows in zip(group.tells, group.rows, strict=bool(group.tells)):
        for epoch in range(group.epoch - epochs, group.epoch):
            tell(epoch + 1, rows[epoch])


def save(group: SeedGroup, file: Path) -> None:
    """Write the state of all seeds of a group at once."""
    state = {"seeds": group.seeds, "states": group.states()}
    write_checkpoint(file, state, f"epoch {group.epoch} of {group.schedule.epochs}")
