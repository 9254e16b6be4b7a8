"""Search the hard sets of a whole set: by windows, or by blocks that a later run takes up."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from speechkit.base.arrays import read_arrays
from speechkit.base.files import atomic_write
from speechkit.base.log import progress
from speechkit.base.parallel import cpu_count, map_items, read_ahead
from speechkit.base.schema import Damaged
from speechkit.mining import shared_problem, sorted_search
from speechkit.mining.block_search import BlockMiner, BlockResult, Task
from speechkit.mining.distance import NO_LIMIT, Difference, HardSets, Rule
from speechkit.mining.inputs import MiningProblem
from speechkit.mining.matrix import resolve_device
from speechkit.mining.sorted_search import slices_by_sum, sorted_others
from speechkit.workdir import Output
from speechkit.workdir.unfinished import note_finished

MOST_THREADS = 4  # each holds a block and its copies
PIVOTS_PER_PART = 8192  # finished pivots kept together for resuming
_EXPAND_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Machines:
    """Where blocks are mined.

    Args:
        device: auto, cpu or cuda, of whichever machine mines.
        executor: local or dask://HOST:PORT.

    Attributes:
        here: the device of this process, which mines nothing where a cluster does.

    Raises:
        UserError: an unknown device, or ``cuda`` without a usable one.
    """

    device: str = "auto"
    executor: str = "local"
    here: str = field(init=False)

    def __post_init__(self) -> None:
        here = resolve_device(self.device) if self.executor == "local" else "numpy"
        object.__setattr__(self, "here", here)


def find_hard_sets(
    problem: MiningProblem, m: np.ndarray, out: Output, pairs: bool, machines: Machines
) -> HardSets:
    """Find the hard sets and write everything that the sampler needs but the thresholds.

    Args:
        problem: what to mine.
        m: sizes of the hard sets.
        out: the output folder.
        pairs: store the pairs instead of what rejection needs.
        machines: where blocks are mined.
    """
    if pairs and not problem.candidates:
        np.save(out.path / "indptr.npy", np.r_[0, np.cumsum(m)])
    if isinstance(problem.distance, Difference):
        found = _run_values(problem, problem.distance.values, m, out, pairs, machines)
    else:
        found = _run_blocks(problem, m, out, pairs, machines)
        if not pairs:
            np.save(out.path / "vectors.npy", problem.distance.vectors)
    if not pairs:  # what rejection needs besides values or vectors
        np.save(out.path / "speakers.npy", problem.population.speakers.astype(np.int32))
        if problem.groups.any():
            np.save(out.path / "groups.npy", problem.groups.astype(np.int32))
        if (found.tie != NO_LIMIT).any():
            np.save(out.path / "ties.npy", found.tie.astype(np.int32))
    return found


def _run_values(
    problem: MiningProblem,
    values: np.ndarray,
    m: np.ndarray,
    out: Output,
    pairs: bool,
    machines: Machines,
) -> HardSets:
    folder, speakers = out.path, problem.population.speakers
    others = sorted_others(values, speakers, problem.groups, problem.valid)
    if problem.candidates:
        found = _run_blocks(problem, m, out, False, machines)
        windows = sorted_search.windows_within(values, speakers, others, found.threshold)
    else:
        with progress("mine-hard", int((m > 0).sum())) as advance:
            found, windows = sorted_search.find_windows(values, speakers, others, m, advance)
    if not pairs:
        np.save(folder / "values.npy", values)
        np.save(folder / "windows.npy", windows)
        return found
    indices = _create_indices(folder / "indices.npy", int(m.sum()))
    span = (windows[:, 1] - windows[:, 0]).astype(np.int64)
    rule, start = Rule(problem.distance, found.threshold, found.tie), 0
    for a, b in slices_by_sum(span, _EXPAND_AT_ONCE):
        pivots = np.arange(a, b)
        partners = sorted_search.expand(pivots, windows, speakers, others, rule)
        indices[start : start + len(partners)] = partners
        start += len(partners)
    indices.flush()  # type: ignore[attr-defined]
    return found


def _run_blocks(
    problem: MiningProblem, m: np.ndarray, out: Output, pairs: bool, machines: Machines
) -> HardSets:
    """Mine block by block; blocks are kept in parts that a later run takes up."""
    miner = BlockMiner(problem, m, machines.here)
    found, starts = HardSets.empty(m), np.cumsum(m) - m
    path, every = out.part("indices.npy"), miner.tasks()
    indices = _open_indices(path, int(m.sum())) if pairs else None
    pivots = np.array([task.stop - task.start for task in every])
    slices = list(slices_by_sum(pivots, PIVOTS_PER_PART))
    parts = [out.part(f"{every[a].start}-{every[b - 1].stop}.npz") for a, b in slices]
    kept = [_load_part(part, found) for part in parts]
    todo = [t for (a, b), old in zip(slices, kept, strict=True) if not old for t in every[a:b]]
    before = len(miner.order) - sum(task.stop - task.start for task in todo)
    with (
        progress("mine-hard", len(miner.order), before=before) as advance,
        closing(_mined(miner, todo, out.path, pairs, machines)) as blocks,
    ):
        for (a, b), part, old in zip(slices, parts, kept, strict=True):
            if old:
                continue
            tables = []
            for block in islice(blocks, b - a):
                if indices is not None:  # where indptr says
                    which, place = sorted_search.spread(block.m)
                    indices[starts[block.table["row"]][which] + place] = block.partners
                tables.append(block.table)
                advance(len(block.table))
            if indices is not None:
                indices.flush()  # type: ignore[attr-defined]
            _save_part(part, tables)
            _load_part(part, found)
            note_finished(part, f"{every[b - 1].stop:,} of {len(miner.order):,} utterances")
    if indices is not None:
        final = out.path / "indices.npy"
        try:  # it stays a part too, where links can be made
            final.hardlink_to(path)
        except OSError:
            path.rename(final)
    return found


def _mined(
    miner: BlockMiner, tasks: Sequence[Task], beside: Path, keep: bool, machines: Machines
) -> Generator[BlockResult, None, None]:
    """Results of the tasks, in order: of this machine, or as they come from a cluster."""
    if machines.executor == "local":
        yield from _side_by_side(miner, tasks, keep)
    elif tasks:
        with shared_problem.written(miner, beside) as folder:
            run = partial(
                shared_problem.mine_block, folder=folder, device=machines.device, keep=keep
            )
            name = "the block of pivots {0.start} to {0.stop}".format
            for done in map_items(run, tasks, executor=machines.executor, name=name):
                assert done.value is not None  # a failing block stops the map
                yield done.value


def _side_by_side(miner: BlockMiner, tasks: Sequence[Task], keep: bool) -> Iterator[BlockResult]:
    """Results of the tasks, in order; on the CPU a few blocks at a time.

    (The product of a block uses all cores; sorting and comparing, which take longer, use one
    and release the GIL.)
    """
    workers = min(MOST_THREADS, cpu_count()) if miner.on_cpu else 1
    return read_ahead(partial(miner.run, keep=keep), tasks, workers, workers)


def _create_indices(path: Path, size: int) -> np.ndarray:
    """A new memory-mapped ``.npy`` file of int32 whose disk space is already taken.

    Writing to a sparse map on a full disk would kill the process; this raises OSError.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype("int32"), shape=(size,))
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _open_indices(path: Path, size: int) -> np.ndarray:
    """The pairs of a run that is taken up, or a new file (then no part counts as finished)."""
    try:
        return np.lib.format.open_memmap(path, mode="r+")
    except (FileNotFoundError, ValueError):
        for part in path.parent.glob("*.npz"):
            part.unlink()
    return _create_indices(path, size)


def _save_part(path: Path, tables: list[np.ndarray]) -> None:
    with atomic_write(path, "wb") as file:
        np.savez(file, found=np.concatenate(tables))


def _load_part(path: Path, found: HardSets) -> bool:
    """Take over a finished part; False if there is none."""
    try:
        table = read_arrays(path, ["found"])["found"]
    except Damaged:
        return False
    found.threshold[table["row"]] = table["threshold"]
    found.nearest[table["row"]] = table["nearest"]
    found.tie[table["row"]] = table["tie"]
    return True
