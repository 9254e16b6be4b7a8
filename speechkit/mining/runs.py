"""Mine a whole set into an output folder: by windows, or by blocks that can be resumed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechkit.base.arrays import read_arrays
from speechkit.base.files import atomic_write
from speechkit.base.log import progress
from speechkit.base.parallel import cpu_count
from speechkit.base.schema import Damaged
from speechkit.mining.blocks import BlockFound, BlockMiner
from speechkit.mining.distance import Cosine, Difference
from speechkit.mining.folder import create_array, write_rejection
from speechkit.mining.inputs import Population
from speechkit.mining.others import Others, hard_counts, slices_by_sum, spread
from speechkit.mining.windows import (
    Found,
    expand,
    find_windows,
    sorted_others,
    windows_within,
)
from speechkit.workdir import Output
from speechkit.workdir.unfinished import note_finished

MOST_THREADS = 4  # each holds a block and its copies
PIVOTS_PER_PART = 8192  # finished pivots kept together for resuming
_EXPAND_AT_ONCE = 1 << 22


@dataclass
class Problem:
    """What is to be mined.

    Args:
        distance: between utterances.
        population: the set.
        groups: ``[N]`` only utterances of one group are candidates of each other.
        valid: ``[N]`` utterances with a valid parameter.
        pm: proportion of hard pairs.
        seed: of the draws.
        candidates: random candidates per pivot; 0 takes all.
    """

    distance: Difference | Cosine
    population: Population
    groups: np.ndarray
    valid: np.ndarray
    pm: float
    seed: int = 0
    candidates: int = 0

    def others(self) -> Others:
        """Valid utterances of other speakers in set order."""
        rows = np.flatnonzero(self.valid)
        order = rows[np.lexsort((rows, self.groups[rows]))]
        return Others(order, self.population.speakers, self.groups)

    def totals(self) -> np.ndarray:
        """``[N]`` number of candidates of each utterance; 0 for those that take no part."""
        total = self.others().total(self.population.speakers)
        return np.where(self.valid, total, 0)

    def sizes(self) -> np.ndarray:
        """``[N]`` sizes of the hard sets."""
        return hard_counts(self.totals(), self.valid, self.pm)


def run(problem: Problem, m: np.ndarray, out: Output, pairs: bool, device: str) -> Found:
    """Find the hard sets and write everything that the sampler needs but the thresholds.

    Args:
        problem: what to mine.
        m: sizes of the hard sets.
        out: the output folder.
        pairs: store the pairs instead of what rejection needs.
        device: ``numpy`` or a PyTorch device.
    """
    if pairs and not problem.candidates:
        indptr = np.zeros(len(m) + 1, np.int64)
        np.cumsum(m, out=indptr[1:])
        np.save(out.path / "indptr.npy", indptr)
    if isinstance(problem.distance, Difference):
        return _run_values(problem, problem.distance.values, m, out, pairs, device)
    found = _run_blocks(problem, m, out, pairs, device)
    if not pairs:
        np.save(out.path / "vectors.npy", problem.distance.vectors)
        _write_rest(problem, found, out.path)
    return found


def _write_rest(problem: Problem, found: Found, folder: Path) -> None:
    same_gender = bool(problem.groups.any())
    write_rejection(folder, problem.population.speakers, problem.groups, found, same_gender)


def _run_values(
    problem: Problem,
    values: np.ndarray,
    m: np.ndarray,
    out: Output,
    pairs: bool,
    device: str,
) -> Found:
    folder, speakers = out.path, problem.population.speakers
    others = sorted_others(values, speakers, problem.groups, problem.valid)
    if problem.candidates:
        found = _run_blocks(problem, m, out, False, device)
        windows = windows_within(values, speakers, others, found.threshold)
    else:
        with progress("mine-hard", int((m > 0).sum())) as advance:
            found, windows = find_windows(values, speakers, others, m, advance)
    if pairs:
        indices = create_array(folder / "indices.npy", (int(m.sum()),), "int32")
        span = (windows[:, 1] - windows[:, 0]).astype(np.int64)
        start = 0
        for a, b in slices_by_sum(span, _EXPAND_AT_ONCE):
            _, partners = expand(np.arange(a, b), windows, values, speakers, others, found)
            indices[start : start + len(partners)] = partners
            start += len(partners)
        indices.flush()  # type: ignore[attr-defined]
    else:
        np.save(folder / "values.npy", values)
        np.save(folder / "windows.npy", windows)
        _write_rest(problem, found, folder)
    return found


def _run_blocks(problem: Problem, m: np.ndarray, out: Output, pairs: bool, device: str) -> Found:
    """Mine block by block; blocks are kept in parts that a later run takes up."""
    miner = BlockMiner(
        problem.distance,
        problem.population.speakers,
        problem.groups,
        m,
        problem.valid,
        device,
        problem.candidates,
        problem.pm,
        problem.seed,
    )
    found = Found.empty(m)
    starts = np.cumsum(m) - m
    path = out.part("indices.npy")
    indices = _open_indices(path, int(m.sum())) if pairs else None
    with progress("mine-hard", len(miner.order)) as advance:
        for tasks in _parts(miner.tasks()):
            first, last = tasks[0][0], tasks[-1][1]
            part = out.part(f"{first}-{last}.npz")
            if _load_part(part, found):
                advance(last - first)
                continue
            blocks = []
            for task, block in zip(tasks, _side_by_side(miner, tasks, pairs), strict=True):
                if indices is not None:
                    _store(indices, starts, block)
                blocks.append(_short(block))
                advance(task[1] - task[0])
            if indices is not None:
                indices.flush()  # type: ignore[attr-defined]
            _save_part(part, blocks)
            _load_part(part, found)
            note_finished(part, f"{last:,} of {len(miner.order):,} utterances")
    if indices is not None:
        _put(path, out.path / "indices.npy")
    return found


def _side_by_side(
    miner: BlockMiner, tasks: Sequence[tuple[int, int, int, int]], keep: bool
) -> Iterator[BlockFound]:
    """Results of the tasks, in order; on the CPU a few blocks at a time.

    (The product of a block uses all cores; sorting and comparing, which take longer, use one
    and release the GIL.)
    """
    workers = min(MOST_THREADS, cpu_count()) if miner.on_cpu else 1
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[BlockFound]] = deque()
        for task in tasks:
            waiting.append(pool.submit(miner.run, task, keep))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _open_indices(path: Path, size: int) -> np.ndarray:
    """The pairs of a run that is taken up, or a new file (then no part counts as finished)."""
    try:
        return np.lib.format.open_memmap(path, mode="r+")
    except (FileNotFoundError, ValueError):
        for part in path.parent.glob("*.npz"):
            part.unlink()
    return create_array(path, (size,), "int32")


def _put(part: Path, final: Path) -> None:
    """Give a finished part its final name; it stays a part too, where links can be made."""
    try:
        final.hardlink_to(part)
    except OSError:
        part.rename(final)


def _parts(tasks: list[tuple[int, int, int, int]]) -> list[list[tuple[int, int, int, int]]]:
    pivots = np.array([stop - start for start, stop, _, _ in tasks])
    return [tasks[a:b] for a, b in slices_by_sum(pivots, PIVOTS_PER_PART)]


def _store(indices: np.ndarray, starts: np.ndarray, block: BlockFound) -> None:
    """Put the partners of a block where indptr says."""
    which, place = spread(block.m)
    indices[starts[block.rows][which] + place] = block.partners


def _short(block: BlockFound) -> np.ndarray:
    kinds = [("row", "i8"), ("threshold", "f8"), ("nearest", "i8"), ("tie", "i8")]
    table = np.empty(len(block.rows), dtype=kinds)
    table["row"], table["threshold"] = block.rows, block.threshold
    table["nearest"], table["tie"] = block.nearest, block.tie
    return table


def _save_part(path: Path, blocks: list[np.ndarray]) -> None:
    with atomic_write(path, "wb") as file:
        np.savez(file, found=np.concatenate(blocks))


def _load_part(path: Path, found: Found) -> bool:
    """Take over a finished part; False if there is none."""
    try:
        table = read_arrays(path, ["found"])["found"]
    except Damaged:
        return False
    found.threshold[table["row"]] = table["threshold"]
    found.nearest[table["row"]] = table["nearest"]
    found.tie[table["row"]] = table["tie"]
    return True
